"""A finished run with a cached first pass, written without Ray: real files, as jobs.transcribe leaves them."""

import dataclasses
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.cache_folder import Cache, CacheFolder
from jobs.manifest import write_manifest
from jobs.preflight import source_version
from jobs.run_folder import RunFolder
from jobs.run_record import entity_facts, read_outcome
from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic.checkpoint import TOKENISER, load_tokens
from pipeline.config import RunConfig
from pipeline.corpus import scan_emissions
from pipeline.emission_cache import CacheIdentity, acoustic_identity, write_emissions
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.fingerprint import config_fingerprint, model_fingerprint, run_fingerprint
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage import Location
from pipeline.transcribe import Transcriber, build_transcriber
from tests.reprocess.hearing import CONFIG, hear

AUDIO = "0123456789abcdef"  # version of a corpus that is not there: reprocessing needs no audio
ROWS = 4  # per file


@dataclasses.dataclass(frozen=True)
class Bench:
    """A model, a configuration and a place for runs."""

    model: Path
    output: Location

    @property
    def config(self) -> RunConfig:
        return configuration.override(CONFIG, {"acoustic": {"model": str(self.model)}})

    def hear(self, texts: list[str | None], seed: int = 0) -> pa.Table:
        return hear(texts, seed, tokens=load_tokens(self.model / TOKENISER))

    def transcriber(self, source: EntitySource) -> Transcriber:
        tokens = load_tokens(self.model / TOKENISER)
        return build_transcriber(self.config, tokens, source, config_fingerprint(self.config))

    def cache(self, emissions: pa.Table) -> Cache:
        """Write the first pass, in files of other rows than the run's."""
        identity = CacheIdentity(
            AUDIO, model_fingerprint(str(self.model)), acoustic_identity(self.config.acoustic), None
        )
        cache = Cache(CacheFolder(self.output.join("emissions", identity.fingerprint)), identity, False)
        for at in range(0, len(emissions), ROWS + 1):
            buffer = io.BytesIO()
            write_emissions(emissions.slice(at, ROWS + 1), buffer)
            storage.write_atomic(cache.folder.data.join(f"c{at:04d}.parquet"), buffer.getvalue())
        cache.write_record(scan_emissions(cache.folder.files(), AUDIO))
        return cache

    def run(self, emissions: pa.Table, source: EntitySource, cache: Cache) -> RunFolder:
        """Write the complete run of ``source``."""
        settled, model = config_fingerprint(self.config), model_fingerprint(str(self.model))
        name = run_fingerprint(AUDIO, model, source_version(source), settled)
        folder = RunFolder(self.output.join(name))
        snapshot.save(source, folder.lists)
        rows = self.transcriber(source).transcribe(emissions)
        for at in range(0, len(rows), ROWS):
            storage.write_atomic(folder.transcripts.join(f"t{at:04d}.parquet"), _bytes(rows.slice(at, ROWS)))
        outcome = read_outcome(scan_emissions(cache.folder.files(), AUDIO), folder)
        folder.write_record(
            {
                "status": "complete",
                "fingerprint": name,
                "transcripts": folder.transcripts.uri,
                "config": configuration.to_dict(self.config),
                "config_fingerprint": settled,
                "audio_files": 1,
                "audio_version": AUDIO,
                "model": model,
                "model_id": "model",
                "emissions": cache.facts(),
                "list_version": source_version(source),
                "list_column": None,
                "entities": entity_facts(source),
                "counts": outcome.counts(),
            }
        )
        write_manifest(folder)
        return folder


def rows_of(folder: RunFolder) -> pa.Table:
    """The rows of a run, by utterance id."""
    tables = [pq.read_table(io.BytesIO(storage.read_bytes(file))) for file in folder.files()]
    return pa.concat_tables(tables).sort_by("utterance_id").combine_chunks()


def in_order(table: pa.Table) -> pa.Table:
    return table.cast(TRANSCRIPTS).sort_by("utterance_id").combine_chunks()


def _bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
