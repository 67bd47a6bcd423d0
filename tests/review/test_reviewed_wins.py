"""Reviewed text wins in exports and scores; the run stays as it is, and what no longer fits is counted."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import export, review_import, score, transcribe
from pipeline.review.laid import SCHEMA
from pipeline.schemas import TRANSCRIPTS
from tests.support.reviewed import RUN, rows, write_reviewed_run
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import GREEDY, command, noises, read_json, transcripts, write_corpus

ANNA = {"utterance_id": "a", "start_seconds": 0.5, "end_seconds": 1.0, "entity": "Anna", "text": "anna"}
LEEDS = {"utterance_id": "a", "start_seconds": 1.5, "end_seconds": 2.0, "entity": "leeds", "text": "leeds"}
YORK = {"utterance_id": "b", "entity": None, "text": "york", "verdict": "missed", "correction": "Zoë York"}
SAID = [
    ANNA | {"verdict": "rejected"},
    LEEDS | {"verdict": "corrected", "correction": "Leigh-on-Sea"},
    YORK | {"start_seconds": 0.5, "end_seconds": 1.0},
]


def import_reviews(folder: Path, run: Path, name: str, reviews: list[dict[str, Any]]) -> str:
    saved = {"format": "rollcall.reviews", "run": name, "reviews": [one | {"reviewer": "eve"} for one in reviews]}
    (folder / "saved.json").write_text(json.dumps(saved))
    output = folder / "reviews"
    assert review_import.main([str(folder / "saved.json"), "--run", str(run), "--output", str(output)]) == 0
    return str(output)


def exported(folder: Path, run: Path, reviews: str, form: str, name: str = "out") -> Path:
    output = folder / f"{name}.{form}"
    fixed = ["--run", str(run), "--reviews", reviews, "--format", form, "--output", str(output)]
    assert export.main(fixed) == 0
    return output


def contents(run: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_an_export_has_what_people_said_and_keeps_what_the_run_said(tmp_path: Path) -> None:
    run = Path(write_reviewed_run(tmp_path)[0])
    before = contents(run)
    reviews = import_reviews(tmp_path, run, RUN, SAID)
    output = exported(tmp_path, run, reviews, "parquet")
    (file,) = output.glob("*.parquet")
    assert pq.read_schema(file).equals(SCHEMA)
    a, b, c = pq.read_table(file).to_pylist()
    assert (a["text"], a["original_text"]) == ("ask and a in leigh on sea", "ask anna in leeds")
    assert [(one["start_word"], one["end_word"], one["original"], one["verdict"]) for one in a["reviewed"]] == [
        (1, 3, "anna", "rejected"),
        (4, 7, "leeds", "corrected"),
    ]
    assert [(one["display_as"], one["start_word"], one["end_word"], one["alternative"]) for one in a["entities"]] == [
        ("Leigh-on-Sea", 4, 7, "leeds")
    ]
    assert [word["word"] for word in a["words"]] == a["text"].split()
    assert [word["end_seconds"] for word in a["words"]][-1] == 2.0
    assert (b["text"], b["original_text"], b["entities"][0]["display_as"]) == ("good zoe york", "good york", "Zoë York")
    assert (c["original_text"], c["reviewed"]) == (None, None)
    record = read_json(output / "_export.json")
    assert (record["schema"], record["schema_version"]) == ("rollcall.reviewed-transcripts", 1)
    assert (record["reviewed"]["count"], record["reviewed"]["changed"], record["reviewed"]["rows_changed"]) == (3, 3, 2)
    assert contents(run) == before


def test_formats_without_a_place_for_it_have_a_file_beside_them(tmp_path: Path) -> None:
    run = Path(write_reviewed_run(tmp_path)[0])
    reviews = import_reviews(tmp_path, run, RUN, SAID)
    output = exported(tmp_path, run, reviews, "csv")
    (file,) = output.glob("part-*.csv")
    assert "ask and a in leigh on sea,Leigh-on-Sea" in file.read_text()
    lines = [json.loads(line) for line in (output / "_reviewed.jsonl").read_text().splitlines()]
    assert [(one["utterance_id"], one["original_text"]) for one in lines] == [
        ("a", "ask anna in leeds"),
        ("b", "good york"),
    ]
    lines = [json.loads(line) for line in next(exported(tmp_path, run, reviews, "jsonl").glob("part-*")).open()]
    assert [line["original_text"] for line in lines] == ["ask anna in leeds", "good york", None]


def test_an_export_is_done_again_when_there_is_another_review(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(write_reviewed_run(tmp_path)[0])
    reviews = import_reviews(tmp_path, run, RUN, SAID[:1])
    output = exported(tmp_path, run, reviews, "jsonl")
    first = contents(output)
    assert contents(exported(tmp_path, run, reviews, "jsonl")) == first
    import_reviews(tmp_path, run, RUN, SAID)
    fixed = ["--run", str(run), "--reviews", reviews, "--format", "jsonl", "--output", str(output)]
    assert export.main(fixed) == 2
    assert "is not empty" in capsys.readouterr().err


def test_on_another_run_of_the_audio_what_no_longer_fits_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other run heard "ann" for "anna", other words from 1.2 s on, and does not have utterance b."""
    run = Path(write_reviewed_run(tmp_path)[0])
    reviews = import_reviews(tmp_path, run, RUN, [ANNA | {"verdict": "accepted"}, *SAID[1:]])
    other = rows()[0]
    words = [("ask", 0.0, 0.5), ("ann", 0.5, 1.0), ("in", 1.0, 1.2), ("leeds", 1.2, 1.8)]
    other["words"] = [{"word": one, "start_seconds": a, "end_seconds": b, "confidence": 0.5} for one, a, b in words]
    other |= {"utterance_id": "renamed", "text": "ask ann in leeds", "entities": []}
    pq.write_table(pa.Table.from_pylist([other], schema=TRANSCRIPTS), tmp_path / "other.parquet")
    output = exported(tmp_path, tmp_path / "other.parquet", reviews, "jsonl")
    (row,) = [json.loads(line) for line in next(output.glob("part-*")).open()]
    assert (row["text"], row["original_text"]) == ("ask anna in leeds", "ask ann in leeds")
    reviewed = read_json(output / "_export.json")["reviewed"]
    assert {name: count for name, count in reviewed.items() if name != "version" and count} == {
        "count": 3,
        "rows_changed": 1,
        "changed": 1,
        "edge_cuts_a_word": 1,
        "other_audio": 1,
    }
    assert "1 no longer fit (edge cuts a word: 1), 1 are of other audio" in capsys.readouterr().out


def test_scores_of_what_people_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(write_reviewed_run(tmp_path)[0])
    before = contents(run)
    reviews = import_reviews(tmp_path, run, RUN, SAID)
    (tmp_path / "reference.tsv").write_text("a\task and a in leigh on sea\nb\tgood zoe york\nc\t\n")
    output = tmp_path / "scores"
    fixed = ["--reference", str(tmp_path / "reference.tsv"), "--output", str(output), "--reviews", reviews]
    assert score.main(["--transcripts", str(run), "--baseline", str(run), *fixed]) == 0
    metrics = read_json(output / "metrics.json")
    assert (metrics["wer"]["rate"], metrics["baseline"]["wer"]["rate"]) == (0.0, 0.6)
    assert metrics["reviewed"]["changed"] == 3
    lines = [json.loads(line) for line in (output / "reviewed.jsonl").read_text().splitlines()]
    assert [one["original_text"] for one in lines] == ["ask anna in leeds", "good york"]
    assert "3 reviews: 3 change 2 rows" in (output / "report.html").read_text()
    assert contents(run) == before
    capsys.readouterr()
    assert score.main(["--hypotheses", str(tmp_path / "reference.tsv"), *fixed]) == 2
    assert "--reviews needs --transcripts" in capsys.readouterr().err


def test_a_private_export_refuses_reviews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "privacy.yaml").write_text("{}")
    fixed = ["--run", "r", "--format", "jsonl", "--output", "o", "--private", str(tmp_path / "privacy.yaml")]
    assert export.main([*fixed, "--reviews", "reviews"]) == 2
    assert "--reviews is not for private exports" in capsys.readouterr().err


def test_a_transcribed_run(tmp_path: Path) -> None:
    """Reviews of a run by the recogniser hold for its audio, and the next run of the same audio takes them too."""
    tiny = tiny_model(tmp_path / "model")
    (tmp_path / "greedy.yaml").write_text(GREEDY)
    audio = write_corpus(tmp_path / "a.parquet", noises(4))
    assert transcribe.main(command(audio, tmp_path / "out", tiny)) == 0
    assert transcribe.main(command(audio, tmp_path / "other", tiny, "--names", "Anna")) == 0
    (run,) = (tmp_path / "out").glob("*/run.json")
    (other,) = (tmp_path / "other").glob("*/run.json")
    row = next(one for one in transcripts(run.parent / "transcripts") if one["words"])
    word = row["words"][-1]
    review = {
        "utterance_id": row["utterance_id"],
        "start_seconds": word["start_seconds"],
        "end_seconds": word["end_seconds"],
        "verdict": "missed",
        "correction": "Kyiv",
    }
    reviews = import_reviews(tmp_path, run.parent, read_json(run)["fingerprint"], [review])
    for one in (run.parent, other.parent):
        before = contents(one)
        output = exported(tmp_path, one, reviews, "parquet", one.name)
        found = {row["utterance_id"]: row for row in pq.read_table(next(output.glob("*.parquet"))).to_pylist()}
        laid = found[row["utterance_id"]]
        assert laid["text"] == " ".join([*(word["word"] for word in row["words"][:-1]), "kyiv"])
        assert laid["original_text"] == row["text"]
        assert contents(one) == before
