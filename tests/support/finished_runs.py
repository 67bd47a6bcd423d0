"""Finished runs with a cached first pass, as jobs.transcribe leaves them, written without Ray from EMISSIONS."""

import dataclasses
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.run.preflight import source_version
from pipeline import config as configuration
from pipeline import storage
from pipeline.acoustic import model_files
from pipeline.config import RunConfig, override
from pipeline.config.fingerprint import config_fingerprint, fingerprint, model_fingerprint, run_fingerprint
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.recognition.recogniser import Recogniser
from pipeline.runs.cache import Cache, CacheFolder
from pipeline.runs.corpus import scan_emissions
from pipeline.runs.emission_cache import CacheIdentity, acoustic_identity, write_emissions
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import write_manifest
from pipeline.runs.outcome import read_outcome
from pipeline.runs.record import entity_facts
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage import Location
from tests.support.hearing import CONFIG, hear


@dataclasses.dataclass(frozen=True)
class Bench:
    """A configuration as a run settles it, a place for runs, and rows per file of the run and of the cache."""

    config: RunConfig
    output: Location
    rows: int = 64
    cached_rows: int = 64
    audio: str = fingerprint("audio that is not there: reprocessing needs none")

    def recogniser(self, source: EntitySource) -> Recogniser:
        """Load everything that transcribes, with lists."""
        return Recogniser.load(self.config, source, config_fingerprint=config_fingerprint(self.config), encodes=False)

    def cache(self, emissions: pa.Table) -> Cache:
        """Write the first pass."""
        model = model_fingerprint(self.config.acoustic.model)
        identity = CacheIdentity(self.audio, model, acoustic_identity(self.config.acoustic, self.config.adapter), None)
        cache = Cache(CacheFolder(self.output.join("emissions", identity.fingerprint)), identity, False)
        for at in range(0, len(emissions), self.cached_rows):
            buffer = io.BytesIO()
            write_emissions(emissions.slice(at, self.cached_rows), buffer)
            storage.write_atomic(cache.folder.data.join(f"c{at:06d}.parquet"), buffer.getvalue())
        cache.write_record(scan_emissions(cache.folder.files(), self.audio))
        return cache

    def run(self, transcripts: pa.Table, source: EntitySource, cache: Cache) -> RunFolder:
        """Write the complete run of ``source`` that wrote ``transcripts``."""
        settled, model = config_fingerprint(self.config), model_fingerprint(self.config.acoustic.model)
        name = run_fingerprint(self.audio, model, source_version(source), settled)
        folder = RunFolder(self.output.join(name))
        snapshot.save(source, folder.lists)
        for at in range(0, len(transcripts), self.rows):
            buffer = io.BytesIO()
            pq.write_table(transcripts.slice(at, self.rows), buffer, compression="zstd")
            storage.write_atomic(folder.transcripts.join(f"t{at:06d}.parquet"), buffer.getvalue())
        outcome = read_outcome(scan_emissions(cache.folder.files(), self.audio), folder)
        record = {
            "status": "complete",
            "fingerprint": name,
            "transcripts": folder.transcripts.uri,
            "config": configuration.to_dict(self.config),
            "config_fingerprint": settled,
            "audio_files": 1,
            "audio_version": self.audio,
            "model": model,
            "model_id": transcripts["model_id"][0].as_py(),
            "emissions": cache.facts(),
            "list_version": source_version(source),
            "list_column": None,
            "entities": entity_facts(source),
            "counts": outcome.counts(),
        }
        folder.write_record(record)
        write_manifest(folder)
        return folder


def rows_of(folder: RunFolder) -> pa.Table:
    """Return the rows of a run, by utterance id."""
    tables = [storage.read_table(file) for file in folder.files()]
    return pa.concat_tables(tables).sort_by("utterance_id").combine_chunks()


def bench(model: Path, output: Location) -> Bench:
    """Four rows per file, and other ones in the cache's files."""
    return Bench(override(CONFIG, {"acoustic": {"model": str(model)}}), output, rows=4, cached_rows=5)


def heard(model: Path, texts: list[str | None], seed: int = 0) -> pa.Table:
    return hear(texts, seed, tokens=model_files.load_tokens(model / model_files.TOKENISER))


def in_order(table: pa.Table) -> pa.Table:
    return table.cast(TRANSCRIPTS).sort_by("utterance_id").combine_chunks()
