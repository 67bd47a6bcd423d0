"""From reviews to a calibration, and a run brought to it: what a full run with it writes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from jobs import learn, reprocess, transcribe
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import read_calibration
from pipeline.calibration import believing, ranking
from pipeline.config import override
from pipeline.entities.lists import EntitySource
from pipeline.review.folder import ReviewsFolder
from pipeline.runs.folder import RunFolder
from pipeline.storage import open_filesystem
from pipeline.text import ENGLISH
from pipeline.types.entity import Entity, EntityList
from tests.support.finished_runs import bench, heard, in_order, rows_of

TEXTS = ("we met zelensky today", "the lens key is new", "ann lives in york", "new york times", "the man dined")
SAID = (("Zelensky",), ("Lens Key",), ("Ann", "York"), ("New York",), ())
ROUNDS = 3
NAMES = ("ann", "lens key", "mandy", "new york", "odesa", "york", "zelensky")
LIST = EntitySource(EntityList(tuple(Entity(name, name.title()) for name in NAMES)))
SETTINGS: dict[str, Any] = {"language_model": None, "beam": {"width": 24}}


class Reviewed:
    """A run whose first pass is cached, and what a reviewer said of it."""

    def __init__(self, folder: Path, model: Path, above: int = 5000) -> None:
        self.here, plain = folder, bench(model, open_filesystem(str(folder / "out")))
        self.settings = SETTINGS | {"cut": {"above": above}}
        as_settled = {
            "cut": {"above": above},
            "guard": {"cautious": True, "doubts": True},
        }  # it is not the shipped model
        self.bench = dataclasses.replace(plain, config=resolved(override(plain.config, as_settled)))
        self.emissions = heard(model, list(TEXTS) * ROUNDS, 5)
        self.cache = self.bench.cache(self.emissions)
        rows = self.bench.recogniser(LIST).transcribe(self.emissions)
        self.run = self.bench.run(in_order(rows), LIST, self.cache)
        self.reviews, self.learnt = str(folder / "reviews"), folder / "learnt"

    def review(self, whole: bool) -> None:
        found = []
        for row in rows_of(self.run).to_pylist():
            said = SAID[int(row["utterance_id"][1:]) % len(SAID)]
            empty = dict.fromkeys(("entity", "text", "verdict", "correction", "reviewer", "reviewed_at", "error"))
            base = empty | {"run": self.run.root.name, "utterance_id": row["utterance_id"], "probability": 0.5,
                            "audio_sha256": row["audio_sha256"], "whole": whole,
                            "start_seconds": 0.0, "end_seconds": row["duration_seconds"]}  # fmt: skip
            there = row["entities"] or ()
            for one in there:
                verdict = "accepted" if one["display_as"] in said else "rejected"
                place = {name: one[name] for name in ("start_seconds", "end_seconds", "entity")}
                found.append(base | place | {"verdict": verdict})
            missed = [name for name in said if name not in {one["display_as"] for one in there}]
            found += [base | {"verdict": "missed", "correction": name} for name in missed]
            found += [] if there or missed else [base]
        ReviewsFolder(open_filesystem(self.reviews)).add(found, ENGLISH)

    def learn(self) -> dict[str, Any]:
        command = ["--reviews", self.reviews, "--run", self.run.root.path, "--output", str(self.learnt)]
        assert learn.main([*command, "--replay", "0"]) == 0
        facts: dict[str, Any] = json.loads((self.learnt / "learn.json").read_text())["ranking"]
        return facts

    def reprocess(self, *arguments: str) -> dict[str, Any]:
        summary = self.here / "summary.json"
        command = ["--run", self.run.root.path, "--num-workers", "1", "--summary", str(summary), *arguments]
        assert reprocess.main(command) == 0
        record: dict[str, Any] = json.loads(summary.read_text())[0]
        return record

    def full(self, calibration: str) -> dict[str, Any]:
        """Transcribe the cached first pass with a calibration."""
        names, config, summary = (self.here / name for name in ("names.txt", "run.yaml", "full.json"))
        names.write_text("\n".join(name.title() for name in NAMES) + "\n")
        config.write_text(json.dumps(self.settings))
        command = ["--emissions", self.cache.folder.root.path, "--entities", str(names), "--config", str(config)]
        command += ["--model", self.bench.config.acoustic.model, "--calibration", calibration, "--executor", "local"]
        assert transcribe.main([*command, "--output", str(self.here / "full"), "--summary", str(summary)]) == 0
        record: dict[str, Any] = json.loads(summary.read_text())
        return record


def folder_of(facts: dict[str, Any]) -> str:
    return str(facts["file"]).removeprefix("file://")


def test_a_run_brought_to_what_was_learnt_is_a_full_run_with_it(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(believing, "LEAST_LABELS", 10)
    for name in ("LEAST_SAID", "LEAST_REJECTED"):
        monkeypatch.setattr(ranking, name, 1)
    reviewed = Reviewed(tmp_path, tiny, above=3)
    reviewed.review(whole=True)
    facts = reviewed.learn()
    said = capsys.readouterr().out
    assert facts["guard"]["labels"] >= 10
    assert "bounds from" in said
    assert "for --calibration" in said
    assert facts["part"] == "plain"
    assert facts["cut"]["said"] > 0
    folder = folder_of(facts)
    found = read_calibration(Path(folder))
    assert sorted(found.files) == facts["files"]
    assert "by `rollcall learn`" in (Path(folder) / "CARD.md").read_text()
    before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert reviewed.learn() == facts, "the same reviews are the same calibration"
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == before

    record, full = reviewed.reprocess("--calibration", folder), reviewed.full(folder)
    assert record["fingerprint"] == full["fingerprint"] != reviewed.run.root.name
    assert record["calibration"] == full["calibration"]
    assert record["config"] == full["config"]
    new = RunFolder(reviewed.bench.output.join(record["fingerprint"]))
    assert rows_of(new).equals(rows_of(RunFolder(open_filesystem(str(tmp_path / "full" / full["fingerprint"])))))

    reviewed.run, plain = new, reviewed.run
    assert reviewed.learn()["guard"]["labels"] == facts["guard"]["labels"], "learnt on from a calibration"
    back = reviewed.reprocess("--calibration", "none")
    assert back["fingerprint"] == plain.root.name


def test_below_what_is_needed_it_says_how_many_are_missing(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed = Reviewed(tmp_path, tiny)
    reviewed.review(whole=False)
    facts = reviewed.learn()
    assert facts["file"] is None
    labels = facts["guard"]["labels"]
    said = capsys.readouterr().out
    assert f"guard: {100 - labels} more judged proposals are needed to fit its bounds ({labels} of 100)" in said
    assert "cut: as it was, no list has more than 5,000 names" in said
    assert not list(reviewed.learnt.glob("calibration-*"))


def test_a_calibration_that_changes_more_cannot_be_reprocessed_to(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(believing, "LEAST_LABELS", 10)
    reviewed = Reviewed(tmp_path, tiny)
    reviewed.review(whole=True)
    path = Path(folder_of(reviewed.learn()))
    content = json.loads((path / "calibration.json").read_text())
    (path / "calibration.json").write_text(json.dumps(content | {"values": {"beam": {"width": 7}}}))
    assert reprocess.main(["--run", reviewed.run.root.path, "--calibration", str(path)]) == 2
    assert "transcribe again with --calibration" in capsys.readouterr().err
    assert reprocess.main(["--run", reviewed.run.root.path, "--calibration", "nowhere"]) == 2
    assert "is no calibration" in capsys.readouterr().err
