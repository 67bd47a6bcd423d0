"""What an earlier version left is read by every command: columns that it did not have are null."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import compare, export, publish, reprocess, score, verify
from pipeline.config import RunConfig, override
from pipeline.config.fingerprint import config_fingerprint
from pipeline.runs.cache import find_cache, open_cache
from pipeline.runs.emission_cache import FORMAT
from pipeline.runs.folder import RunFolder
from pipeline.schemas import ORIGIN, TRANSCRIPTS
from pipeline.storage import open_filesystem
from tests.support.earlier_run import copy_earlier
from tests.support.finished_runs import rows_of

CUT = "Board meeting – 2026"
OPEN = ["--gate-error-rate", "1", "--gate-changed", "1", "--gate-other-words", "1"]
PLACES = [(0.0, 3.2), (3.2, 6.4), (6.4, 11.0)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return copy_earlier(tmp_path)


def exported(run: Path, form: str, *more: str) -> Path:
    output = run.parent / f"exported-{form}"
    assert export.main(["--run", str(run), "--format", form, "--output", str(output), *more]) == 0
    return output


def rows(run: Path) -> list[dict[str, Any]]:
    return [row for file in (run / "transcripts").iterdir() for row in pq.read_table(file).to_pylist()]


def test_it_is_what_it_says(run: Path) -> None:
    assert "recording_id" not in rows(run)[0]
    assert verify.main([str(run)]) == 0


def test_export_fills_what_is_missing_with_nulls_or_from_the_audio(run: Path) -> None:
    table = pq.read_table(exported(run, "parquet"))
    assert table.schema.equals(TRANSCRIPTS)
    assert all(table[name].null_count == 5 for name in ORIGIN)
    found = [one for each in table["entities"].to_pylist() for one in each or ()]
    assert {(one["entity"], one["strategies"]) for one in found} == {("dog", None)}
    assert sorted(table["text"].to_pylist(), key=str) == sorted((row["text"] for row in rows(run)), key=str)
    audio = str(run.parents[1] / "audio.parquet")
    lines = exported(run, "jsonl", "--audio", audio).joinpath("part-00000.jsonl").read_text().splitlines()
    told = {(row["start_seconds"], row["end_seconds"]) for row in map(json.loads, lines) if row["recording_id"] == CUT}
    assert told == set(PLACES)


def test_score_compare_and_publish_read_it(run: Path) -> None:
    said = "".join(f"{row['utterance_id']}\t{row['text'] or 'nothing'}\n" for row in rows(run))
    (run.parent / "said.tsv").write_text(said)
    results = run.parent / "scores"
    reference = ["--reference", str(run.parent / "said.tsv")]
    assert score.main(["--transcripts", str(run), *reference, "--output", str(results)]) == 0
    assert compare.main([str(run), str(run), *reference, "--output", str(run.parent / "compared")]) == 0
    assert publish.main(["--run", str(run), *OPEN]) == 0


def test_reprocess_makes_a_run_of_this_version(run: Path) -> None:
    here = run.parents[1]
    (here / "new.txt").write_text("Dog\nDoga\nLviv\n")
    summary, list_ = str(here / "summary.json"), str(here / "new.txt")
    command = ["--run", str(run), "--entities", list_, "--num-workers", "1", "--summary", summary]
    assert reprocess.main(command) == 0
    (record,) = json.loads(Path(summary).read_text())
    new = RunFolder(open_filesystem(str(run.parent / record["fingerprint"])))
    table = rows_of(new)
    assert table.schema.equals(TRANSCRIPTS)
    assert set(table["config_fingerprint"].to_pylist()) == {record["config_fingerprint"]}
    config = override(RunConfig(), record["config"])
    before = json.loads((run / "run.json").read_text())["config_fingerprint"]
    assert record["config_fingerprint"] == config_fingerprint(config) != config_fingerprint(config, 1) == before
    assert record["counts"]["rows_out"] == 5
    assert 1 <= record["reprocess"]["totals"]["recomputed"] <= 4
    assert "Doga" in {found["display_as"] for one in table["entities"].to_pylist() for found in one or ()}
    assert verify.main([new.root.path]) == 0
    assert publish.main(["--run", str(run), *OPEN]) == publish.main(["--run", new.root.path, *OPEN]) == 0


def test_a_cache_of_an_earlier_format_is_used_and_not_filled_further(run: Path) -> None:
    caches = open_filesystem(str(run.parent / "emissions"))
    (folder,) = (run.parent / "emissions").iterdir()
    identity = open_cache(open_filesystem(str(folder))).identity
    assert identity.format == 1 < FORMAT
    found = find_cache(caches, type(identity)(identity.audio, identity.model, identity.acoustic, None))
    assert (found.is_complete, found.folder.root.path) == (True, str(folder))
    (folder / "cache.json").unlink()
    begun = find_cache(caches, type(identity)(identity.audio, identity.model, identity.acoustic, None))
    assert (begun.is_complete, begun.folder.root.path == str(folder)) == (False, False)
