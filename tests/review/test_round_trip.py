"""Tasks out and reviews in, in every format; what cannot count is a row with its reason."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.review_export import main as export
from jobs.review_import import main as load
from pipeline.schemas import AUDIO, REVIEWS
from tests.support.reviewed import RUN, write_reviewed_run

WHEN = "2026-11-30T10:00:00+00:00"


def exported(folder: Path, form: str, *more: str) -> Path:
    run, audio = write_reviewed_run(folder)
    assert export([run, "--format", form, "--audio", audio, "--output", str(folder / "tasks"), *more]) == 0
    return folder / "tasks"


def imported(folder: Path, file: Path, *more: str) -> list[dict[str, Any]]:
    output = folder / "reviews"
    assert load([str(file), "--run", str(folder / "run"), "--output", str(output), *more]) == 0
    files = sorted((output / "reviews").glob("*.parquet"))
    assert all(pq.read_schema(one).equals(REVIEWS) for one in files)
    return [row for one in files for row in pq.read_table(one).to_pylist()]


def verdicts(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    fields = ("utterance_id", "entity", "text", "verdict", "correction", "whole", "error")
    return sorted((tuple(row[name] for name in fields) for row in rows), key=str)


def answer_csv(path: Path, answers: list[dict[str, str]]) -> Path:
    with path.open(newline="") as file:
        tasks = list(csv.DictReader(file))
    done = [task | answer for task, answer in zip(tasks, answers, strict=False)]
    done += [dict.fromkeys(tasks[0], "") | answer for answer in answers[len(tasks) :]]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(tasks[0]))
        writer.writeheader()
        writer.writerows(done)
    return path


SAID = [
    ("a", "anna", "anna", "rejected", None, True, None),
    ("a", "leeds", "leeds", "corrected", "Leigh", True, None),
    ("b", None, "york", "missed", "New York", False, None),
]


def test_csv(tmp_path: Path) -> None:
    tasks = exported(tmp_path, "csv")
    assert (tasks / "tasks.csv").read_text().splitlines()[0] == (
        "utterance_id,start_seconds,end_seconds,entity,text,verdict,correction,reviewer,reviewed_at,probability,whole"
    )
    assert len(list((tasks / "audio").glob("*.ogg"))) == 2
    by = {"reviewer": "eve", "reviewed_at": WHEN}
    added = {"utterance_id": "b", "start_seconds": "0,5", "end_seconds": "1", "entity": "New York", "verdict": "missed"}
    said = [{"verdict": "rejected", "whole": "yes"}, {"verdict": "corrected", "correction": "Leigh"}]
    file = answer_csv(tasks / "tasks.csv", [*(one | by for one in said), {}, added | by])
    rows = imported(tmp_path, file, "--audio", str(tmp_path / "audio.parquet"))
    assert verdicts(rows) == SAID
    assert [(row["run"], row["reviewer"], row["reviewed_at"].isoformat(), row["probability"]) for row in rows] == [
        (RUN, "eve", WHEN, 1.0)
    ] * 3
    assert imported(tmp_path, file) == rows
    assert (tmp_path / "reviews/missed.csv").read_text() == "entity,tags,times_missed\nNew York,missed,1\n"
    (heard,) = (tmp_path / "reviews/heard").glob("*.parquet")
    assert pq.read_schema(heard).equals(AUDIO)
    assert [(row["utterance_id"], row["text"]) for row in pq.read_table(heard).to_pylist()] == [
        ("a", "ask and a in leigh")
    ]


def test_label_studio(tmp_path: Path) -> None:
    tasks = exported(tmp_path, "label-studio", "--audio-url", "https://host/")
    known = json.loads((tasks / "tasks.json").read_text())
    assert [len(one["predictions"]) for one in known] == [1, 1, 0]
    assert known[0]["data"]["audio"].startswith("https://host/audio/")
    assert known[0]["predictions"][0]["result"][0]["value"] == {"start": 0.5, "end": 1.0, "channel": 0,
                                                               "labels": ["proposed"]}  # fmt: skip
    assert 'perRegion="true"' in (tasks / "label_config.xml").read_text()

    def choice(name: str, value: str) -> dict[str, Any]:
        return {"from_name": name, "to_name": "sentence", "type": "choices", "value": {"choices": [value]}}

    by = {"completed_by": {"email": "eve"}, "updated_at": "2026-11-30T10:00:00Z"}
    correction = {"from_name": "correction", "type": "textarea", "value": {"text": ["Leigh"]}}
    span = {
        "id": "r",
        "from_name": "span",
        "type": "labels",
        "value": {"start": 0.45, "end": 1.0, "labels": ["missed"]},
    }
    name = {"id": "r", "from_name": "missed_name", "type": "textarea", "value": {"text": ["New York"]}}
    results = [
        [choice("verdict", "rejected"), choice("whole", "heard whole")],
        [choice("verdict", "corrected"), correction],
        [span, name],
    ]
    for one, result in zip(known, results, strict=True):
        one["annotations"] = [{**by, "result": result}]
    (tmp_path / "done.json").write_text(json.dumps(known))
    assert verdicts(imported(tmp_path, tmp_path / "done.json")) == [
        *SAID[:2],
        ("b", None, "good york", "missed", "New York", False, None),
    ]


def test_prodigy(tmp_path: Path) -> None:
    tasks = exported(tmp_path, "prodigy")
    known = [json.loads(line) for line in (tasks / "tasks.jsonl").read_text().splitlines()]
    by = {"_annotator_id": "eve", "_timestamp": 1796032800}
    known[0] |= {"answer": "reject", "accept": ["heard whole"], **by}
    known[1] |= {"answer": "accept", "correction": "Leigh", **by}
    known[2] |= {"answer": "accept", "missed": "New York", **by}
    known[2]["audio_spans"] = [{"start": 0.5, "end": 1.0, "label": "MISSED"}]
    (tmp_path / "done.jsonl").write_text("".join(json.dumps(one) + "\n" for one in known))
    assert verdicts(imported(tmp_path, tmp_path / "done.jsonl")) == SAID


def test_what_cannot_count_is_a_row_with_its_reason(tmp_path: Path) -> None:
    tasks = exported(tmp_path, "csv")
    file = answer_csv(
        tasks / "tasks.csv",
        [
            {"verdict": "maybe"},
            {"verdict": "corrected"},
            {"verdict": "accepted"},
            {"utterance_id": "z", "verdict": "missed"},
            {"utterance_id": "a", "start_seconds": "1", "end_seconds": "9", "entity": "x", "verdict": "missed"},
            {"utterance_id": "a", "start_seconds": "0", "end_seconds": "0.4", "entity": "Anna", "verdict": "accepted"},
        ],
    )
    errors = [row["error"] for row in imported(tmp_path, file)]
    assert [str(one)[:30] for one in errors] == [
        "verdict 'maybe' is none of acc",
        "a corrected name needs the cor",
        "'accepted' is about a proposed",
        "run 'f1' has no utterance 'z'",
        "its span 1 to 9 s is not withi",
        "the run proposed no 'Anna' fro",
    ]


def saved(folder: Path, name: str, reviewer: str, verdict: str, run: str = RUN, at: str = WHEN) -> Path:
    span = {"utterance_id": "a", "start_seconds": 0.5, "end_seconds": 1.0, "entity": "Anna", "text": "anna"}
    review = {**span, "verdict": verdict, "reviewer": reviewer, "reviewed_at": at, "probability": 0.5, "whole": False}
    (folder / name).write_text(json.dumps({"format": "rollcall.reviews", "run": run, "reviews": [review]}))
    return folder / name


def test_reviewers_who_contradict_each_other_do_not_count_until_one_takes_it_back(tmp_path: Path) -> None:
    write_reviewed_run(tmp_path)
    files = [saved(tmp_path, "1", "eve", "accepted"), saved(tmp_path, "2", "bob", "rejected")]
    assert [row["error"] for row in imported(tmp_path, files[0])] == [None]
    rows = imported(tmp_path, files[1])
    assert all(row["error"].startswith("conflict: ") for row in rows)
    later = saved(tmp_path, "3", "bob", "accepted", at="2026-11-30T11:00:00Z")
    errors = sorted((row["reviewer"], row["verdict"], (row["error"] or "")[:10]) for row in imported(tmp_path, later))
    assert errors == [("bob", "accepted", ""), ("bob", "rejected", "superseded"), ("eve", "accepted", "")]
    (row,) = [one for one in imported(tmp_path, saved(tmp_path, "4", "eve", "accepted", "f2")) if one["run"] == "f2"]
    assert row["error"] == "is a review of run 'f2', not of 'f1'"


def test_a_page_needs_sound_and_no_folder_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = exported(tmp_path, "csv")
    run = str(tmp_path / "run")
    assert export([run, "--format", "csv", "--output", str(tasks)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert export([run, "--format", "html", "--output", str(tmp_path / "page")]) == 2
    assert "give --audio" in capsys.readouterr().err
