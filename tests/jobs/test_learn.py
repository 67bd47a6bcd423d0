"""From reviews to a memory, and a run brought to it: what a full run with that memory writes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import learn, reprocess, transcribe
from pipeline.config import joint, with_memory
from pipeline.entities.lists import EntitySource
from pipeline.review.folder import ReviewsFolder
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.schemas import MEMORY
from pipeline.storage import open_filesystem
from pipeline.text import ENGLISH
from pipeline.types.entity import Entity, EntityList
from tests.support.finished_runs import Bench, bench, heard, in_order, rows_of
from tests.support.tiny_model import tiny_model

TEXTS = ["the dog jumps over", "he met zelensky", "the lens key", None, "five boxes", "then the lens key went"]
TENANTS = ["north", "north", "north", None, "south", "south"]
LIST = EntitySource(EntityList((Entity("dog", "Dog"), Entity("zelensky", "Zelensky"))))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


class Reviewed:
    """A run of two tenants whose first pass is cached, and what a reviewer said of it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.here, self.bench = folder, bench(model, open_filesystem(str(folder / "out")))
        place = (emissions := heard(model, TEXTS, 5)).schema.get_field_index("tenant")
        self.emissions = emissions.set_column(place, emissions.schema.field(place), pa.array(TENANTS, pa.string()))
        self.cache = self.bench.cache(self.emissions)
        self.run = self.bench.run(self.full(self.bench), LIST, self.cache)
        self.rows = {row["utterance_id"]: row for row in rows_of(self.run).to_pylist()}
        self.reviews = str(folder / "reviews")

    def full(self, bench: Bench) -> pa.Table:
        return in_order(bench.recogniser(LIST).transcribe(self.emissions))

    def review(self, name: str, verdict: str, **more: Any) -> None:
        """Say it of all words of an utterance."""
        row = self.rows[name]
        span = {"start_seconds": 0.0, "end_seconds": row["duration_seconds"]}
        whole = {"run": "f", "utterance_id": name, "audio_sha256": row["audio_sha256"], "verdict": verdict, **span}
        empty = dict.fromkeys(("entity", "text", "correction", "reviewer", "reviewed_at", "probability", "error"))
        ReviewsFolder(open_filesystem(self.reviews)).add([empty | {"whole": False} | whole | more], ENGLISH)

    def learn(self, code: int = 0) -> dict[str, Any]:
        output = self.here / "learnt"
        assert learn.main(["--reviews", self.reviews, "--run", self.run.root.path, "--output", str(output)]) == code
        facts: dict[str, Any] = json.loads((output / "learn.json").read_text())["memory"] if code == 0 else {}
        return facts

    def remembering(self, path: str) -> Bench:
        return dataclasses.replace(self.bench, config=with_memory(self.bench.config, path))

    def reprocess(self, *arguments: str) -> dict[str, Any]:
        summary = self.here / "summary.json"
        command = ["--run", self.run.root.path, "--num-workers", "1", "--summary", str(summary), *arguments]
        assert reprocess.main(command) == 0
        record: dict[str, Any] = json.loads(summary.read_text())[0]
        return record

    def new(self, record: dict[str, Any]) -> RunFolder:
        return RunFolder(self.bench.output.join(record["fingerprint"]))


@pytest.fixture
def reviewed(tmp_path: Path, model: Path) -> Reviewed:
    return Reviewed(tmp_path, model)


def rows(facts: dict[str, Any]) -> list[dict[str, Any]]:
    table = pq.read_table(facts["file"].removeprefix("file://"))
    assert table.schema.equals(MEMORY)
    return table.to_pylist()


def test_what_reviewers_said_is_kept_with_what_was_heard(reviewed: Reviewed) -> None:
    reviewed.review("u2", "missed", correction="Zelensky")
    reviewed.review("u4", "rejected", entity="dog")
    reviewed.review("u0", "missed", correction="Somebody else")
    facts = reviewed.learn()
    seen = {(row["tenant"], row["entity"]): row for row in rows(facts) if row["accepted"] or row["rejected"]}
    assert {key: (row["accepted"], row["rejected"]) for key, row in seen.items()} == {
        ("north", "zelensky"): (1, 0), ("south", "dog"): (0, 1),
    }  # fmt: skip
    assert len(seen["north", "zelensky"]["heard"].split()) > 4
    assert (facts["judged"], facts["observations"], facts["purged"]) == (3, 3, 1), "who is not on the list is left out"
    assert (facts["other"], facts["unheard"], facts["unfit"]) == (0, 0, 0)
    before = Path(facts["file"].removeprefix("file://")).read_bytes()
    assert reviewed.learn() == facts, "the same reviews are the same file"
    assert Path(facts["file"].removeprefix("file://")).read_bytes() == before
    reviewed.review("u5", "missed", correction="Zelensky")
    assert reviewed.learn()["version"] != facts["version"]
    assert len(list((reviewed.here / "learnt").glob("memory-*.parquet"))) == 2


def test_a_run_brought_to_a_memory_is_a_full_run_with_it_and_only_what_it_touches_is_done_again(
    reviewed: Reviewed,
) -> None:
    reviewed.review("u2", "missed", correction="Zelensky")
    path = reviewed.learn()["file"].removeprefix("file://")
    record = reviewed.reprocess("--memory", path)
    new, full = reviewed.new(record), reviewed.full(reviewed.remembering(path))
    assert rows_of(new).equals(full)
    assert problems(new) == []
    assert record["config"]["memory"]["path"] == path
    assert 1 <= record["reprocess"]["totals"]["recomputed"] <= 2, (
        "north has three utterances, of which one was reviewed"
    )
    mine = {row["utterance_id"]: row for row in rows_of(new).to_pylist()}
    for name in ("u4", "u5"):
        before, after = (one[name] | {"config_fingerprint": None} for one in (reviewed.rows, mine))
        assert before == after, "it is another tenant's, though it says the same words"
    assert reviewed.reprocess("--memory", path)["fingerprint"] == new.root.name
    reviewed.run = new
    assert reviewed.reprocess("--memory", "none")["fingerprint"] != new.root.name
    both = reviewed.here / "both.txt"
    both.write_text("Zelensky\nBoxes\n")
    other = reviewed.new(reviewed.reprocess("--entities", str(both)))
    listed = EntitySource(EntityList((Entity("boxes", "Boxes"), Entity("zelensky", "Zelensky"))))
    with_it = reviewed.remembering(path).recogniser(listed)
    assert rows_of(other).equals(in_order(with_it.transcribe(reviewed.emissions))), "the run keeps its memory"


def test_transcribing_with_a_memory_is_the_same_run(reviewed: Reviewed) -> None:
    reviewed.review("u2", "missed", correction="Zelensky")
    path = reviewed.learn()["file"].removeprefix("file://")
    names, config = reviewed.here / "names.txt", reviewed.here / "run.yaml"
    names.write_text("Dog\nZelensky\n")
    config.write_text(json.dumps({"language_model": None, "beam": {"width": 24}}))
    command = ["--emissions", reviewed.cache.folder.root.path, "--entities", str(names), "--memory", path]
    command += ["--model", reviewed.bench.config.acoustic.model, "--config", str(config), "--executor", "local"]
    assert transcribe.main([*command, "--output", str(reviewed.here / "full")]) == 0
    (full,) = (RunFolder(open_filesystem(str(one.parent))) for one in reviewed.here.glob("full/*/run.json"))
    new = reviewed.new(reviewed.reprocess("--memory", path))
    made, brought = (rows_of(one).drop_columns(["config_fingerprint"]) for one in (full, new))
    assert made.equals(brought), "but for an adapter that the command does not find and the run does not look for"
    assert full.read_record()["config"]["memory"] == new.read_record()["config"]["memory"]  # type: ignore[index]


def test_without_a_memory_a_run_is_what_it_was(reviewed: Reviewed) -> None:
    reviewed.review("u2", "missed", correction="Zelensky")
    path = reviewed.learn()["file"].removeprefix("file://")
    new = reviewed.new(reviewed.reprocess("--memory", path))
    plain = reviewed.run
    reviewed.run = new
    back = reviewed.reprocess("--memory", "none")
    assert back["fingerprint"] == plain.root.name
    assert rows_of(reviewed.new(back)).equals(reviewed.full(reviewed.bench))


def test_what_cannot_be_learnt_from_says_why(reviewed: Reviewed, capsys: pytest.CaptureFixture[str]) -> None:
    reviewed.review("u2", "missed", correction="Zelensky")
    reviewed.run.write_record((reviewed.run.read_record() or {}) | {"emissions": None})
    reviewed.learn(code=2)
    assert "no cached first pass" in capsys.readouterr().err
    assert reprocess.main(["--run", reviewed.run.root.path]) == 2
    assert "nothing is to change" in capsys.readouterr().err
    missing = ["--audio", "nowhere", "--output", str(reviewed.here / "o"), "--memory", "nowhere.parquet"]
    assert transcribe.main([*missing, "--names", "Dog"]) == 2
    assert joint().memory is None
