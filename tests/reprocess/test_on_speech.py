"""The contract of reprocessing on real speech, with the shipped models and every technique of the joint preset."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import reprocess
from pipeline.acoustic.adapter_files import resolved
from pipeline.config import RunConfig, joint
from pipeline.entities.lists import EntitySource, SharedEntities
from pipeline.recognition.recogniser import Recogniser
from pipeline.runs.folder import RunFolder
from pipeline.storage import open_filesystem
from tests.support.finished_runs import Bench, rows_of
from tests.support.shared_data import SHARED, needs_shared_data

pytestmark = needs_shared_data
UTTERANCES = 24
MOST_BYTES = 110e6  # per audio hour, with states


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return resolved(joint())


@pytest.fixture(scope="module")
def emissions(config: RunConfig) -> pa.Table:
    batch = next(pq.ParquetFile(SHARED / "librispeech_test_clean_dev.parquet").iter_batches(UTTERANCES))
    return Recogniser.load(config, transcribes=False).encode(pa.Table.from_batches([batch]))


def spoken(ids: set[str]) -> list[str]:
    """The rare words that are said in these utterances."""
    lines = (SHARED / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return sorted({word for row in rows if row[0] in ids for word in json.loads(row[2])})


def source(words: list[str]) -> EntitySource:
    return EntitySource(SharedEntities().list_of(words))


def test_new_versions_are_full_runs(tmp_path: Path, config: RunConfig, emissions: pa.Table) -> None:
    words = spoken(set(emissions["utterance_id"].to_pylist()))
    bench = Bench(config, open_filesystem(str(tmp_path)), rows=16)
    recogniser = bench.recogniser(source(words[1:]))
    cache = bench.cache(emissions)
    run = bench.run(recogniser.transcribe(emissions), source(words[1:]), cache)
    assert cache.facts()["mb_per_audio_hour"] * 1e6 < MOST_BYTES
    lists = {"more": words, "less": words[2:], "others": words[::2]}
    for (name, listed), record in zip(lists.items(), reprocessed(tmp_path, run, lists), strict=True):
        new = RunFolder(bench.output.join(record["fingerprint"]))
        full = recogniser.with_lists(source(listed)).transcribe(emissions)
        assert rows_of(new).equals(full.sort_by("utterance_id").combine_chunks()), name
        assert record["reprocess"]["totals"]["recomputed"] < UTTERANCES / (1 if name == "others" else 4), name


def reprocessed(folder: Path, run: RunFolder, lists: dict[str, list[str]]) -> list[dict[str, Any]]:
    """All lists in one call, which loads the models once."""
    command = ["--run", run.root.path, "--summary", str(folder / "s.json"), "--num-workers", "1"]
    for name, words in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(words))
        command += ["--entities", f"{name}={folder / name}.txt"]
    assert reprocess.main(command) == 0
    records: list[dict[str, Any]] = json.loads((folder / "s.json").read_text())
    return records
