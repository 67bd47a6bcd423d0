"""Runs with a policy: the same on any number of workers and after a resume, and what reprocessing makes of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import reprocess, transcribe
from jobs.run.executor import LOCAL, RAY
from pipeline.config import joint, with_policy
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.lists import EntitySource
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.schemas import DECIDED, DECISIONS, TRANSCRIPTS
from pipeline.storage import open_filesystem
from pipeline.types.entity import Entity, EntityList
from tests.support.finished_runs import Bench, bench, heard, in_order, rows_of
from tests.support.policies import always, written
from tests.support.transcribing import noises, read_json, transcripts, write_corpus

TEXTS = ["the dog jumps over", "he met zelensky", "the lens key", None, "five boxes", "then the lens key went"]
NAMES = ("boxes", "dog", "lens", "zelensky")


def listed(*names: str) -> EntitySource:
    return EntitySource(EntityList(tuple(Entity(name, name.title()) for name in names)))


def decisions(folder: RunFolder) -> list[dict[str, Any]]:
    tables = [pq.read_table(file.path) for file in folder.decision_files()]
    assert all(table.schema.equals(DECISIONS) for table in tables)
    assert {file.name for file in folder.decision_files()} == {file.name for file in folder.files()}
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: (row["utterance_id"], row["strategy"]))


def run(place: Path, tiny: Path, *more: str, executor: str = LOCAL) -> RunFolder:
    summary = place / "summary.json"
    command = ["--output", str(place), "--model", str(tiny), "--config", str(tiny.parent / "greedy.yaml")]
    command += ["--executor", executor, "--block-rows", "4", "--summary", str(summary)]
    assert transcribe.main([*command, *more]) == 0
    return RunFolder(open_filesystem(read_json(summary)["transcripts"]).parent)


@pytest.mark.usefixtures("ray_running")
def test_the_same_on_one_worker_on_several_with_ray_and_after_a_resume(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(11) | {"bad": b"no audio"})
    policy = written(always(1), tmp_path / "learnt")
    (tmp_path / "list.txt").write_text("Lviv\nKyiv\nOdesa\nUman\nRivne\n")
    more = ["--audio", str(audio), "--entities", str(tmp_path / "list.txt"), "--policy", str(policy), "--explore", "1"]
    one = run(tmp_path / "one", tiny, *more, "--num-encoders", "1")
    rows, decided = transcripts(one.transcripts.path), decisions(one)
    assert len(decided) == 2 * 11, "two strategies, and nothing of the utterance with an error"
    assert len({row["level"] for row in decided if row["strategy"] == "phonetic"}) > 1
    assert problems(one) == []
    for name, also, executor in (("several", ["--num-encoders", "3"], LOCAL), ("ray", ["--num-decoders", "2"], RAY)):
        other = run(tmp_path / name, tiny, *more, *also, executor=executor)
        assert (transcripts(other.transcripts.path), decisions(other)) == (rows, decided)
    # as if it had been killed between the decisions of a file and its rows
    lost = one.files()[0]
    for file in (lost, one.checkpoint.join(lost.name), one.record, one.success):
        Path(file.path).unlink()
    again = run(tmp_path / "one", tiny, *more, "--num-encoders", "1")
    assert again.root == one.root
    assert (transcripts(again.transcripts.path), decisions(again)) == (rows, decided)
    assert problems(again) == []


class Decided:
    """A run without a policy whose first pass is cached, and what else it could have been."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.here, self.bench = folder, bench(model, open_filesystem(str(folder / "out")))
        self.emissions = heard(model, TEXTS, 5)
        self.cache = self.bench.cache(self.emissions)
        self.run = self.bench.run(self.full(self.bench, listed(*NAMES[1:])), listed(*NAMES[1:]), self.cache)

    def full(self, with_it: Bench, source: EntitySource) -> pa.Table:
        return in_order(with_it.recogniser(source).transcribe(self.emissions).select(TRANSCRIPTS.names))

    def decisions(self, with_it: Bench, source: EntitySource) -> list[dict[str, Any]]:
        rows = with_it.recogniser(source).transcribe(self.emissions)[DECIDED.name].to_pylist()
        found = [one for row in rows for one in row or ()]
        return sorted(found, key=lambda row: (row["utterance_id"], row["strategy"]))

    def following(self, path: Path, explore: float | None = None) -> Bench:
        return dataclasses.replace(self.bench, config=with_policy(self.bench.config, str(path), explore))

    def reprocess(self, run: RunFolder, *arguments: str) -> tuple[RunFolder, dict[str, Any]]:
        summary = self.here / "summary.json"
        command = ["--run", run.root.path, "--num-workers", "1", "--summary", str(summary), *arguments]
        assert reprocess.main(command) == 0
        record: dict[str, Any] = json.loads(summary.read_text())[0]
        return RunFolder(self.bench.output.join(record["fingerprint"])), record


def test_a_run_brought_to_a_policy_is_a_full_run_with_it(tmp_path: Path, tiny: Path) -> None:
    made = Decided(tmp_path, tiny)
    strict = written(always(1, background=0.9), tmp_path / "strict")
    source = listed(*NAMES[1:])
    new, record = made.reprocess(made.run, "--policy", str(strict), "--explore", "0.5")
    with_it = made.following(strict, 0.5)
    assert rows_of(new).equals(made.full(with_it, source))
    assert decisions(new) == made.decisions(with_it, source)
    assert len(decisions(new)) == 2 * 5
    assert problems(new) == []
    totals = record["reprocess"]["totals"]
    assert 1 <= totals["recomputed"] < 5, "only where the shortlist is another one"
    (tmp_path / "more.txt").write_text("\n".join(name.title() for name in NAMES))
    longer, _ = made.reprocess(new, "--entities", str(tmp_path / "more.txt"))
    assert rows_of(longer).equals(made.full(with_it, listed(*NAMES))), "the run keeps its policy"
    assert decisions(longer) == made.decisions(with_it, listed(*NAMES))
    wide = written(always(4), tmp_path / "wide")
    other, _ = made.reprocess(new, "--policy", str(wide), "--explore", "0")
    assert rows_of(other).equals(made.full(made.following(wide), source))
    assert decisions(other) == made.decisions(made.following(wide), source)
    back, _ = made.reprocess(new, "--policy", "none")
    assert back.root == made.run.root
    assert rows_of(back).equals(made.full(made.bench, source))
    assert back.decision_files() == []


def test_policy_and_exploration_are_in_the_fingerprint_and_off_is_what_it_was(tmp_path: Path) -> None:
    one, moved = (written(always(1), tmp_path / name) for name in ("one", "moved"))
    other = written(always(2), tmp_path / "other")
    configs = [with_policy(joint(), str(path), explore)
               for path, explore in ((one, None), (moved, 0.0), (one, 0.1), (other, None))]  # fmt: skip
    prints = [config_fingerprint(config) for config in configs]
    assert prints[0] == prints[1]
    assert len({*prints, config_fingerprint(joint())}) == 4
    assert with_policy(configs[2], str(other), None).policy.explore == 0.1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--explore", "0.1"], "give --policy"),
        (["--policy", "POLICY", "--explore", "0.01"], "from 0.02 to 1"),
        (["--policy", "POLICY", "--preset", "baseline"], "this configuration has not"),
        (["--policy", "nowhere.json"], "is no policy"),
    ],
)
def test_what_cannot_be_decided_says_why(
    arguments: list[str], said: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(1))
    path = str(written(always(1), tmp_path))
    given = [path if one == "POLICY" else one for one in arguments]
    command = ["--audio", str(audio), "--names", "Lviv", "--output", str(tmp_path / "out"), "--model", str(tiny)]
    assert transcribe.main([*command, *given]) == 2
    assert said in capsys.readouterr().err
