"""jobs.reprocess and jobs.publish on a finished run, without Ray; the models are real, what they hear is made up."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs import publish, reprocess
from pipeline import storage
from pipeline.entities.lists import EntitySource
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem
from pipeline.types.entity import Entity, EntityList
from tests.support.finished_runs import bench, heard, in_order, rows_of
from tests.support.servers import moto_endpoint, new_bucket, options_for
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import read_json

TEXTS = ["the dog jumps over", "zelensky met them", "the lens key", None, "five boxes", "odd deeds", "pack my box"] * 2


def source(*names: str) -> EntitySource:
    return EntitySource(EntityList(tuple(Entity(name.lower(), name) for name in sorted(names))))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


class Finished:
    """A run with the list of one dog, whose first pass is cached."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.here = folder
        self.bench = bench(model, open_filesystem(str(folder / "out")))
        self.emissions = heard(model, TEXTS, 5)
        self.cache = self.bench.cache(self.emissions)
        self.run = self.bench.run(self.full("Dog"), source("Dog"), self.cache)

    def lists(self, name: str, *names: str) -> str:
        path = self.here / f"{name}.txt"
        path.write_text("".join(f"{one}\n" for one in names))
        return str(path)

    def reprocess(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        summary = self.here / "summary.json"
        command = ["--run", self.run.root.path, "--num-workers", "1", "--summary", str(summary)]
        assert reprocess.main([*command, *arguments]) == code
        content: list[dict[str, Any]] = json.loads(summary.read_text())
        return content

    def full(self, *names: str):  # type: ignore[no-untyped-def]
        return in_order(self.bench.recogniser(source(*names)).transcribe(self.emissions))

    def new(self, record: dict[str, Any]) -> RunFolder:
        return RunFolder(self.bench.output.join(record["fingerprint"]))


@pytest.fixture
def finished(tmp_path: Path, model: Path) -> Finished:
    return Finished(tmp_path, model)


def test_the_new_version_is_what_a_full_run_writes(finished: Finished) -> None:
    record = finished.reprocess("--entities", finished.lists("new", "Dog", "Zelensky"))[0]
    new = finished.new(record)
    assert rows_of(new).equals(finished.full("Dog", "Zelensky"))
    assert problems(new) == []
    assert record["counts"]["rows_out"] == len(TEXTS)
    assert record["counts"]["errors"] == {"no audio.": 2}
    totals = record["reprocess"]["totals"]
    assert 2 <= totals["recomputed"] < len(TEXTS) / 2
    changes = pq.read_table(f"{new.root.path}/changes.parquet").to_pylist()
    assert len(changes) == totals["changed"] + totals["rescored"]
    assert all(change["because"] == ["Zelensky"] for change in changes)
    assert "transcribed again" in (Path(new.root.path) / "changes.html").read_text()
    assert not list(Path(new.root.path).glob("_changes")), "what an unfinished version needs is gone"


def test_a_second_time_does_nothing(finished: Finished) -> None:
    arguments = ["--entities", finished.lists("new", "Zelensky")]
    first = finished.reprocess(*arguments)
    files = {file: file.stat().st_mtime_ns for file in finished.here.joinpath("out").rglob("*") if file.is_file()}
    assert finished.reprocess(*arguments) == first
    assert finished.reprocess("--entities", finished.lists("same", "Dog"))[0]["fingerprint"] == finished.run.root.name
    after = {file: file.stat().st_mtime_ns for file in finished.here.joinpath("out").rglob("*") if file.is_file()}
    assert after == files


def test_what_broke_off_goes_on_where_it_was(finished: Finished) -> None:
    arguments = ["--entities", finished.lists("new", "Zelensky", "Box")]
    new = finished.new(finished.reprocess(*arguments)[0])
    whole = rows_of(new)
    root = Path(new.root.path)
    for name in ("run.json", "_SUCCESS", "_checkpoint/t000004.parquet", "transcripts/t000008.parquet"):
        (root / name).unlink()
    (root / "_checkpoint/t000008.parquet").rename(root / "_checkpoint/t000008.pending.parquet")
    finished.reprocess(*arguments)
    assert rows_of(new).equals(whole)
    assert problems(new) == []
    assert sorted(file.name for file in (root / "_checkpoint").iterdir()) == [
        f"t{at:06d}.parquet" for at in (0, 4, 8, 12)
    ]


def test_tenants_in_one_call_and_from_the_new_version_on(finished: Finished) -> None:
    north, south = finished.lists("north", "Dog", "Box"), finished.lists("south", "Zelensky")
    records = finished.reprocess("--entities", f"north={north}", "--entities", f"south={south}", "--publish", code=1)
    assert [record["name"] for record in records] == ["north", "south"]
    assert rows_of(finished.new(records[0])).equals(finished.full("Dog", "Box"))
    assert rows_of(finished.new(records[1])).equals(finished.full("Zelensky"))
    assert all("rows have an error" in record["objections"][0] for record in records), "2 of 14 are too many"
    wide = ["--publish", "--gate-error-rate", "0.2"]
    finished.reprocess("--entities", f"north={north}", *wide)
    finished.run = finished.new(records[1])
    removed = finished.reprocess("--entities", f"south={finished.lists('none', 'Nobody')}", *wide)[0]
    assert rows_of(finished.new(removed)).equals(finished.full("Nobody"))
    pointers = {name: read_json(finished.here / "out" / f"latest-{name}.json")["run"] for name in ("north", "south")}
    assert pointers == {"north": records[0]["fingerprint"], "south": removed["fingerprint"]}


def test_publishing_is_a_switch_with_gates_and_a_way_back(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    out, latest = str(finished.here / "out"), finished.here / "out" / "latest.json"
    may = ["--gate-error-rate", "0.2"]
    assert publish.main(["--run", finished.run.root.path, *may]) == 0
    arguments = ["--entities", finished.lists("new", "Dog", "Zelensky", "Lens key"), "--publish", *may]
    held = finished.reprocess(*arguments, "--gate-changed", "0", code=1)[0]
    assert read_json(latest)["run"] == finished.run.root.name
    assert "rows changed, at most 0.00% may" in capsys.readouterr().out.replace("\n", " ")
    assert finished.reprocess(*arguments, "--gate-changed", "1", "--gate-other-words", "1")[0]["objections"] == []
    assert read_json(latest)["run"] == held["fingerprint"]
    again = ["--run", out, "--entities", finished.lists("less", "Zelensky"), "--summary", str(finished.here / "l.json")]
    assert reprocess.main([*again, "--num-workers", "1"]) == 0
    assert json.loads((finished.here / "l.json").read_text())[0]["reprocess"]["from"] == held["fingerprint"]
    assert publish.main(["--output", out, "--rollback"]) == 0
    assert read_json(latest)["run"] == finished.run.root.name
    assert publish.main(["--output", out, "--rollback"]) == 2
    assert "nothing was published before" in capsys.readouterr().err


def test_what_cannot_be_reprocessed_says_why(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--run", finished.run.root.path, "--entities", finished.lists("new", "Box")]

    def refused(*more: str) -> str:
        assert reprocess.main([*arguments, *more]) == 2
        return capsys.readouterr().err

    assert "1 runs and 2 lists" not in refused("--entities", "nowhere.txt")
    assert "in one process, which cannot do --num-workers 2" in refused("--executor", "local", "--num-workers", "2")
    record = finished.run.read_record() or {}
    finished.run.write_record(record | {"emissions": None})
    storage.remove(finished.run.success)
    assert "is no complete run" in refused()
    from pipeline.runs.manifest import write_manifest

    write_manifest(finished.run)
    assert "its first pass was not cached" in refused()
    finished.run.write_record(record | {"config_fingerprint": "other"})
    write_manifest(finished.run)
    assert "config_fingerprint differ from the run's" in refused()
    assert "2 runs and 1 lists" in refused("--run", finished.run.root.path)


def test_an_unfinished_full_run_in_its_place_is_left_alone(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--entities", finished.lists("new", "Zelensky")]
    new = Path(finished.new(finished.reprocess(*arguments)[0]).root.path)
    (new / "_SUCCESS").unlink()
    (new / "transcripts" / "t000000.parquet").rename(new / "transcripts" / "1f_000000.parquet")
    assert reprocess.main(["--run", finished.run.root.path, *arguments]) == 2
    assert "holds 1 file(s) of an unfinished full run" in capsys.readouterr().err


def test_on_an_object_store(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with moto_endpoint() as endpoint:
        options = options_for(endpoint)
        out = bench(model, new_bucket(options).join("out"))
        emissions = heard(model, TEXTS[:6], 5)
        written = in_order(out.recogniser(source("Dog")).transcribe(emissions))
        run = out.run(written, source("Dog"), out.cache(emissions))
        (tmp_path / "new.txt").write_text("Zelensky\n")
        command = ["--run", run.root.uri, "--entities", str(tmp_path / "new.txt"), "--num-workers", "1", "--publish"]
        command += ["--gate-error-rate", "0.2", "--storage-options", json.dumps(options)]
        assert reprocess.main([*command, "--summary", str(tmp_path / "s.json")]) == 0
        record = json.loads((tmp_path / "s.json").read_text())[0]
        new = RunFolder(out.output.join(record["fingerprint"]))
        full = in_order(out.recogniser(source("Zelensky")).transcribe(emissions))
        assert rows_of(new).equals(full)
        assert problems(new) == []
        assert json.loads(storage.read_bytes(out.output.join("latest.json")))["run"] == record["fingerprint"]
        assert options["secret"] not in "".join(capsys.readouterr())
