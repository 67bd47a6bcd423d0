"""Catalogs in runs: the command, large lists that become one, and the same transcripts as with the list."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import index, reprocess, transcribe
from jobs.demo import EXAMPLES
from jobs.run import catalogs
from pipeline.entities.catalog import is_catalog, open_catalog, save_catalog, write_catalog
from pipeline.entities.loading import load_entity_list
from pipeline.retrieval.catalog import build_sound, open_sound
from pipeline.storage import open_filesystem
from tests.support.servers import moto_endpoint, new_bucket, options_for
from tests.support.transcribing import transcripts

FILLERS = 60


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's list, and names that nobody says in it."""
    path = tmp_path_factory.mktemp("lists") / "names.txt"
    said = [entity.display_as for entity in load_entity_list(str(EXAMPLES / "entities.csv")).entities]
    fillers = [f"Karlo Vu{('ba', 'be', 'bi', 'bo')[k % 4]}gradskoz {k}" for k in range(FILLERS)]
    path.write_text("\n".join([*said, *fillers]))
    return path


def run(folder: Path, entities: Path | str, *more: str) -> dict[str, Any]:
    audio = folder / "audio.parquet"
    pq.write_table(pq.read_table(EXAMPLES / "demo.parquet").slice(0, 3), audio)
    command = ["--audio", str(audio), "--entities", str(entities), "--output", str(folder / "out"), *more]
    assert transcribe.main([*command, "--executor", "local", "--summary", str(folder / "run.json")]) == 0
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def test_a_run_with_a_catalog_is_the_run_with_its_list(
    tmp_path: Path, names: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("plain", "large", "catalog")]
    for folder in folders:
        folder.mkdir()
    records = [run(folders[0], names, "--cache-emissions")]
    monkeypatch.setattr(catalogs, "LARGE", FILLERS)
    records.append(run(folders[1], names))
    assert index.main([str(names), "--output", str(tmp_path / "names")]) == 0
    records.append(run(folders[2], tmp_path / "names"))
    rows = [transcripts(record["transcripts"]) for record in records]
    assert rows[0] == rows[1] == rows[2]
    assert any(row["entities"] for row in rows[0])
    assert len({record["fingerprint"] for record in records}) == 1
    kept = [open_filesystem(str(Path(record["transcripts"]).parent / "lists")) for record in records]
    assert [is_catalog(one) for one in kept] == [False, True, True]
    (built,) = (folders[1] / "out" / "catalogs").glob("*/catalog.json")
    assert open_sound(open_catalog(open_filesystem(str(built.parent)))) is not None
    _reprocessed_as_run(tmp_path, names, Path(records[0]["transcripts"]).parent)


def _reprocessed_as_run(folder: Path, names: Path, old: Path) -> None:
    """A run with the plain list, reprocessed with a changed catalog, is the run with that catalog."""
    fewer = folder / "fewer.txt"
    fewer.write_text("\n".join(names.read_text().split("\n")[3:]))
    assert index.main([str(fewer), "--output", str(folder / "fewer")]) == 0
    command = ["--run", str(old), "--entities", str(folder / "fewer"), "--output", str(folder / "again")]
    assert reprocess.main(command) == 0
    (again,) = (folder / "again").glob("*/transcripts")
    (folder / "anew").mkdir()
    anew = run(folder / "anew", folder / "fewer")
    assert transcripts(again) == transcripts(anew["transcripts"])


def test_a_catalog_on_an_object_store(tmp_path: Path, names: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = write_catalog(load_entity_list(str(names)), tmp_path / "here")
    build_sound(here, tmp_path / "here", 1)
    with moto_endpoint() as endpoint:
        target = new_bucket(options_for(endpoint)).join("names")
        save_catalog(here, target)
        for _ in range(2):  # the second time from the copy
            there = open_catalog(target)
            assert there.folder.is_relative_to(tmp_path / "cache")
            assert tuple(there.entities) == tuple(here.entities)
            assert open_sound(there) is not None


def test_lists_per_utterance_are_no_catalog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = tmp_path / "lists.jsonl"
    lists.write_text('{"utterance_id": "a", "entities": ["Lviv"]}\n')
    assert index.main([str(lists), "--output", str(tmp_path / "catalog")]) == 2
    assert "a catalog is one list" in capsys.readouterr().err
