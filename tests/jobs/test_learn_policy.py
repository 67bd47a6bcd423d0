"""From reviews to a policy, its report, the gates, and a run that follows it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs import learn, publish, reprocess
from jobs.run import learn_policy
from pipeline.entities.lists import EntitySource
from pipeline.learning.policies import load
from pipeline.retrieval.policy import FEATURES
from pipeline.review.folder import ReviewsFolder
from pipeline.runs.folder import RunFolder
from pipeline.schemas import TRANSCRIPTS
from pipeline.storage import Location, open_filesystem
from pipeline.text import ENGLISH
from pipeline.types.entity import Entity, EntityList
from tests.support.finished_runs import bench, heard, in_order, rows_of

TEXTS = ("we met zelensky today", "the lens key is new", "ann lives in york", "new york times")
SAID = (("Zelensky",), ("Lens Key",), ("Ann", "York"), ("New York",))
ROUNDS = 8
LIST = EntitySource(EntityList(tuple(Entity(name, name.title()) for name in
                                     ("ann", "lens key", "new york", "odesa", "york", "zelensky"))))  # fmt: skip


class Reviewed:
    """A run of eight speakers whose first pass is cached, and what a reviewer said of it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.here, self.bench = folder, bench(model, open_filesystem(str(folder / "out")))
        emissions = heard(model, list(TEXTS) * ROUNDS, 5)
        place = emissions.schema.get_field_index("speaker")
        speakers = pa.array([f"s{at // len(TEXTS)}" for at in range(len(emissions))], pa.string())
        self.emissions = emissions.set_column(place, emissions.schema.field(place), speakers)
        self.cache = self.bench.cache(self.emissions)
        rows = self.bench.recogniser(LIST).transcribe(self.emissions)
        self.run = self.bench.run(in_order(rows.select(TRANSCRIPTS.names)), LIST, self.cache)
        self.reviews, self.learnt = str(folder / "reviews"), folder / "learnt"

    def review(self, run: RunFolder, whole: bool, count: int = 1000) -> None:
        """Say of the first utterances what was said in them; what the run lacks only if they were heard whole."""
        found = []
        for row in rows_of(run).to_pylist()[:count]:
            said = SAID[int(row["utterance_id"][1:]) % len(SAID)]
            base = {"run": run.root.name, "utterance_id": row["utterance_id"], "audio_sha256": row["audio_sha256"],
                    "whole": whole, "probability": 0.5}  # fmt: skip
            empty = dict.fromkeys(("entity", "text", "correction", "reviewer", "reviewed_at", "error"))
            there = {one["display_as"] for one in row["entities"] or ()}
            for at, name in enumerate(said):
                place = {"start_seconds": 0.5 * at, "end_seconds": 0.5 * at + 0.5}
                says = (
                    {"verdict": "accepted", "entity": name}
                    if name in there
                    else {"verdict": "missed", "correction": name}
                )
                found.append(empty | base | place | says)
        ReviewsFolder(open_filesystem(self.reviews)).add(found, ENGLISH)

    def learn(self, run: RunFolder, *more: str, code: int = 0) -> dict[str, Any]:
        command = ["--reviews", self.reviews, "--run", run.root.path, "--output", str(self.learnt), *more]
        assert learn.main(command) == code
        facts: dict[str, Any] = json.loads((self.learnt / "learn.json").read_text())["policy"] if code == 0 else {}
        return facts

    def follow(self, path: str, *more: str) -> RunFolder:
        summary = self.here / "summary.json"
        command = [
            "--run",
            self.run.root.path,
            "--num-workers",
            "1",
            "--summary",
            str(summary),
            "--policy",
            path,
            *more,
        ]
        assert reprocess.main(command) == 0
        return RunFolder(self.bench.output.join(json.loads(summary.read_text())[0]["fingerprint"]))


@pytest.fixture
def reviewed(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    monkeypatch.setattr(learn_policy, "LEAST_NAMES", 20)
    return Reviewed(tmp_path, tiny)


def path_of(facts: dict[str, Any]) -> str:
    return str(facts["file"]).removeprefix("file://")


def test_a_policy_is_learnt_judged_published_and_followed(
    reviewed: Reviewed, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.review(reviewed.run, whole=True)
    facts = reviewed.learn(reviewed.run)
    assert (facts["decisions"], facts["other"], facts["unknown"], facts["unexplored"]) == (32, 0, 0, 0)
    assert facts["names"] >= 20
    assert facts["effective_sample"] == pytest.approx(32)
    assert facts["replay"]["utterances"] == 32
    assert facts["replay"]["said"] == 40
    said = capsys.readouterr().out
    assert "32 decisions" in said
    assert "decoded again, 32 utterances" in said
    policy = load(Location(open_filesystem(path_of(facts)).filesystem, path_of(facts)))
    assert policy.version == facts["version"]
    assert {len(row) for row in policy.models["phonetic"].gain} == {len(FEATURES)}
    page = (reviewed.learnt / "report.html").read_text()
    assert all(name in page for name in ("IPS", "SNIPS", "DR", policy.version, "phonetic", "Decoded again"))
    before = Path(path_of(facts)).read_bytes()
    assert reviewed.learn(reviewed.run)["version"] == facts["version"], "the same reviews are the same policy"
    assert Path(path_of(facts)).read_bytes() == before

    capsys.readouterr()
    assert publish.main(["--policy", path_of(facts)]) == 1
    assert "at least 200 are needed" in capsys.readouterr().out
    easy = ["--gate-effective", "10", "--gate-difference", "-1"]
    assert publish.main(["--policy", path_of(facts), *easy]) == 0
    pointer = json.loads((reviewed.learnt / "latest-policy.json").read_text())
    assert pointer["run"] == Path(path_of(facts)).name
    assert publish.main(["--policies", str(reviewed.learnt)]) == 0
    assert publish.main(["--policies", str(reviewed.learnt), "--rollback"]) == 2, "nothing was published before"

    explored = reviewed.follow(path_of(facts), "--explore", "0.5")
    reviewed.review(explored, whole=False, count=16)
    both = reviewed.learn(explored, "--candidates", "2", "--replay", "0")
    assert both["against"] == facts["version"], "the policy that the run had"
    assert both["replay"] is None
    assert both["version"] != facts["version"]
    assert publish.main(["--policy", path_of(both), *easy]) == 1
    assert "was not replayed" in capsys.readouterr().out


def test_what_only_was_judged_in_part_needs_exploration(
    reviewed: Reviewed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewed.review(reviewed.run, whole=False)
    facts = reviewed.learn(reviewed.run)
    assert (facts["file"], facts["decisions"], facts["unexplored"]) == (None, 0, 32)
    said = capsys.readouterr().out
    assert "32 utterances judged in part, of runs that did not explore" in said
    assert "20 more names that were said are needed (0 of 20)" in said
    monkeypatch.setattr(learn_policy, "LEAST_NAMES", 1000)
    reviewed.reviews += "-whole"
    reviewed.review(reviewed.run, whole=True)
    assert reviewed.learn(reviewed.run)["file"] is None
    assert not list(reviewed.learnt.glob("policy-*"))


def test_reviews_of_a_run_that_explored_join_its_decisions(reviewed: Reviewed, tmp_path: Path) -> None:
    reviewed.review(reviewed.run, whole=True)
    explored = reviewed.follow(path_of(reviewed.learn(reviewed.run)), "--explore", "1")
    reviewed.reviews += "-part"
    reviewed.review(explored, whole=False)
    facts = reviewed.learn(explored)
    assert (facts["decisions"], facts["unknown"]) == (32, 0)
    assert facts["unexplored"] == 0, "the chances of wider levels are those of the run that was reviewed"
    later = reviewed.learn(reviewed.run)
    assert later["decisions"] == 32, "late answers join by the run that was reviewed, whichever is learnt from"
    (open_filesystem(explored.record.path)).filesystem.rm(explored.record.path)
    assert reviewed.learn(reviewed.run)["unknown"] == 32, "without that run nobody knows what it drew"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--candidates", "0"], "--candidates must be above 0"),
        (["--replay", "-1"], "--replay must be 0 or more"),
        (["--against", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_cannot_be_asked_of_a_policy_says_why(
    more: list[str], said: str, reviewed: Reviewed, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.review(reviewed.run, whole=True)
    reviewed.learn(reviewed.run, *more, code=2)
    assert said in capsys.readouterr().err


def test_policies_and_runs_are_published_apart(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--policy", "p.json", "--rollback"], ["--policies", "x", "--output", "y"]):
        assert publish.main(wrong) == 2
        assert "of policies give either" in capsys.readouterr().err
