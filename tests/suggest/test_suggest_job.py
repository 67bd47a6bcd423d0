"""python -m jobs.suggest, from a run to a table, a page, and a list that the other commands read."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import lint_list, suggest, transcribe
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.entities.loading import load_entity_list
from pipeline.schemas import AUDIO, TRANSCRIPTS
from pipeline.storage import open_filesystem
from pipeline.types.entity import Entity, EntityList
from tests.support.audio_files import encoded, noise
from tests.support.exported_runs import entity, row, words
from tests.support.reports import HOSTILE, Structure, tone
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import GREEDY, command, write_corpus

TEXTS = {
    "a": "we saw uncas there",
    "b": "then unkas went home",
    "c": "the house of uncas is here",
    "d": "it was bartlik who came",
    "e": "and bartlik went home",
    "f": "we saw mertz there",
    "g": "then mertz went home",
}
LISTED = EntityList((Entity("bartley", "Bartley", tags=("person",)), Entity("mertz", "Mertz")))


def written_run(folder: Path) -> Path:
    """A run whose list has Bartley, whom it twice wrote as somebody else, and Mertz, whom it found; not Uncas."""
    rows = []
    for name, text in TEXTS.items():
        spoken = words(*((word, 0.3 * at, 0.3 * at + 0.3) for at, word in enumerate(text.split())))
        found = [entity("Mertz", at, at + 1, 0.3 * at, 0.3) for at, word in enumerate(text.split()) if word == "mertz"]
        rows.append(row(name, spoken, 0.3 * len(spoken), entities=found))
    rows[0]["nbest"].append(rows[0]["nbest"][0] | {"text": f"we saw {HOSTILE} there"})
    rows.append(row("failed", [], 1.0, words=None, entities=None, nbest=None, text=None, error="failed: too short"))
    run = folder / "run"
    (run / "transcripts").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TRANSCRIPTS), run / "transcripts/0.parquet")
    (run / "run.json").write_text(json.dumps({"fingerprint": "f1"}))
    snapshot.save(EntitySource(corpus=LISTED), open_filesystem(str(run / "lists")))
    sound = [{"utterance_id": one, "audio": {"bytes": tone(2.0), "path": None}} for one in TEXTS]
    pq.write_table(pa.Table.from_pylist(sound, schema=AUDIO), folder / "audio.parquet")
    return run


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def suggested(run: Path, output: Path, *more: str) -> list[dict[str, str]]:
    assert suggest.main([str(run), "--output", str(output), *more]) == 0
    return rows_of(output / "suggestions.csv")


def test_what_is_missing_and_what_is_said_otherwise(tmp_path: Path) -> None:
    run = written_run(tmp_path)
    rows = {one["heard"]: one for one in suggested(run, tmp_path / "out", "--audio", str(tmp_path / "audio.parquet"))}
    by_name = {one["entity"]: one for one in rows.values()}
    assert {one["kind"] for one in by_name.values() if one["entity"] not in ("Bartley",)} == {"entity"}
    uncas = by_name.get("uncas") or by_name["unkas"]
    assert {"uncas", "unkas"} <= set(uncas["spellings"].split("|"))
    assert (uncas["utterances"], uncas["unknown"], uncas["listed"]) == ("3", "3", "")
    assert uncas["where"].split("|") == ["a 0.60-0.90", "b 0.30-0.60", "c 0.90-1.20"]
    bartley = by_name["Bartley"]
    assert (bartley["kind"], bartley["utterances"]) == ("pronunciation", "2")
    assert "Mertz" not in by_name
    facts = json.loads((tmp_path / "out/suggestions.json").read_text())
    assert (facts["rows"], facts["heard"], facts["compared_to_list"]) == (7, 0, True)


def test_the_list_is_read_by_the_other_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suggested(written_run(tmp_path), tmp_path / "out")
    file = str(tmp_path / "out/list.csv")
    entities = load_entity_list(file)
    assert not entities.rejected
    bartley = entities.by_text["bartley"]
    assert (bartley.display_as, bartley.tags, len(bartley.pronunciations)) == ("Bartley", ("person",), 2)
    name = next(one for one in entities.entities if one.text in ("uncas", "unkas"))
    assert name.tags == ("suggested",)
    assert all(one.split()[1:4] == ["N", "K", "AH"] for one in name.pronunciations)
    capsys.readouterr()
    assert lint_list.main([file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entities"] == len(entities)


def test_the_page_has_the_sound_and_no_markup_of_the_data(tmp_path: Path) -> None:
    suggested(written_run(tmp_path), tmp_path / "out", "--audio", str(tmp_path / "audio.parquet"))
    page = (tmp_path / "out/suggestions.html").read_text()
    assert Structure(page).open == []
    assert page.count("data:audio/ogg;base64,") == page.count("<audio ") > 0
    assert "<script>alert" not in page
    assert "uncas" in page


def test_bad_arguments_are_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = written_run(tmp_path)
    assert suggest.main([str(run), "--output", str(tmp_path / "out"), "--least", "1"]) == 2
    assert "--least must be 2 or more, got 1" in capsys.readouterr().err
    (tmp_path / "none.yaml").write_text("language_model: null\n")
    assert suggest.main([str(run), "--output", str(tmp_path / "o"), "--config", str(tmp_path / "none.yaml")]) == 2
    assert "need a language model" in capsys.readouterr().err


def test_a_cached_first_pass_says_what_was_heard(tmp_path: Path) -> None:
    """The same three sounds in three utterances each: what is suggested was heard alike in all of them."""
    tiny = tiny_model(tmp_path / "model")
    (tmp_path / "greedy.yaml").write_text(GREEDY)
    sounds = {seed: encoded(noise(1.0, seed=seed), "flac") for seed in range(3)}
    audio: dict[str, Any] = {f"{seed} {again}": sounds[seed] for again in range(3) for seed in sounds}
    corpus = write_corpus(tmp_path / "a.parquet", audio)
    assert transcribe.main(command(corpus, tmp_path / "out", tiny, "--cache-emissions")) == 0
    (run,) = (tmp_path / "out").glob("*/run.json")
    rows = suggested(run.parent, tmp_path / "found")
    facts = json.loads((tmp_path / "found/suggestions.json").read_text())
    assert (facts["rows"], facts["heard"]) == (9, 9)
    assert rows
    assert {one["utterances"] for one in rows} <= {"3", "6", "9"}
