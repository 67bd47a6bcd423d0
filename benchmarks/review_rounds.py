"""Reviews from end to end: two rounds of simulated reviewers, what is learnt from them, and what it does to the corpus.

    python -m benchmarks.review_rounds --data ../shared/data --keep out/rounds --replays 10

names_dev and every fifth utterance of test-clean-dev are one corpus of two tenants with one list, all names of both.
All is done by the commands: transcribe; two times review-export of 120 utterances and review-import; learn; publish;
reprocess with the policy and exploration; 300 utterances of that run reviewed; learn again; publish; reprocess with the
calibration. Reviewers are simulated from the references: they answer every task, err in 2%, hear half of the utterances
whole and overlook 5% of what is missed there. F1 is of entities, on the utterances that somebody reviewed and on the
others.

--replays: so many seeds each review 200 other utterances of the exploring run, and learn the next policy from them
alone. What DR says of the difference of the two policies is shown beside what decoding again finds, per utterance.
"""

import argparse
import csv
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.review_memory import OVERLOOKED, WRONG, Corpus, Row, prepare, span_of
from benchmarks.table import show
from jobs import learn, publish, reprocess, review_export, review_import
from pipeline.runs.folder import RunFolder
from pipeline.storage import open_filesystem, read_table
from pipeline.text import ENGLISH, normalise

_EVERY, _MOST = 5, 280  # utterances of test-clean-dev
_ROUND, _SECOND, _REPLAYED = 120, 300, 200  # utterances that are reviewed
_WHOLE = 0.5
_SEEDS, _SECOND_SEED, _FIRST_REPLAY = (1, 2), 9, 21
_COLUMNS = ("utterance_id", "audio", "speaker", "duration_seconds", "text")


def make_corpus(data: Path, folder: Path) -> tuple[Path, Path]:
    """Write the audio, with a tenant for each set, and the list; return where they lie."""
    audio, listed = folder / "audio", folder / "names.txt"
    audio.mkdir(parents=True, exist_ok=True)
    names = pq.read_table(data / "names_dev.parquet")
    clean = pq.read_table(data / "librispeech_test_clean_dev.parquet")
    clean = clean.take(list(range(0, clean.num_rows, _EVERY))[:_MOST])
    for tenant, table in (("names_dev", names), ("clean", clean)):
        own = table.select(_COLUMNS).append_column("tenant", pa.array([tenant] * table.num_rows))
        pq.write_table(own, audio / f"{tenant}.parquet")
    found = {str(one) for column in ("entities", "list") for row in names[column].to_pylist() for one in row or []}
    ids = set(clean["utterance_id"].to_pylist())
    lists = data / "is21_deep_bias" / "test-clean-dev.biasing_100.tsv"
    for line in lists.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if fields[0] in ids:
            found |= set(json.loads(fields[3]))
    listed.write_text("\n".join(sorted(found)) + "\n", encoding="utf-8")
    return audio, listed


class Rounds:
    """The commands, on one corpus; ``reviewed`` are the utterances that somebody has seen."""

    def __init__(self, corpus: Corpus, audio: Path, keep: Path) -> None:
        self._corpus, self._audio, self._keep = corpus, audio, keep
        self.reviewed = set[str]()

    def review(self, run: str, count: int, seed: int, reviews: Path) -> None:
        """Have ``count`` utterances of a run reviewed, and add what came back to ``reviews``."""
        tasks = reviews.parent / f"tasks-{seed}"
        chosen = ["--format", "csv", "--audio", str(self._audio), "--utterances", str(count), "--seed", str(seed)]
        _done(review_export.main([run, *chosen, "--output", str(tasks)]))
        with (tasks / "tasks.csv").open(newline="", encoding="utf-8") as file:
            asked = list(csv.DictReader(file))
        self.reviewed |= {task["utterance_id"] for task in asked}
        answers = self._answers(asked, {row["utterance_id"]: row for row in rows_of(run)}, random.Random(seed))
        with (tasks / "answered.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(asked[0]))
            writer.writeheader()
            writer.writerows(answers)
        _done(review_import.main([str(tasks / "answered.csv"), "--run", run, "--output", str(reviews)]))

    def _answers(self, asked: Sequence[Row], rows: Mapping[str, Row], chance: random.Random) -> list[Row]:
        by_utterance: dict[str, list[Row]] = {}
        for task in asked:
            by_utterance.setdefault(task["utterance_id"], []).append(task)
        answers = []
        for name, tasks in by_utterance.items():
            whole, left = chance.random() < _WHOLE, self._corpus.said(name).copy()
            for task in tasks:
                own = {"whole": "yes" if whole else "", "reviewer": "simulated", "reviewed_at": "2026-11-30T12:00:00Z"}
                if task["entity"]:
                    entity = normalise(task["entity"], ENGLISH)
                    right = left[entity] > 0
                    left[entity] -= right
                    own["verdict"] = "accepted" if right != (chance.random() < WRONG) else "rejected"
                answers.append(task | own)
            for missed in sorted((+left).elements()) if whole else ():
                span = span_of(self._corpus.references[name], missed, rows[name])
                if span is not None and chance.random() >= OVERLOOKED:
                    said = {"verdict": "missed", "correction": missed, "entity": "", "text": ""}
                    answers.append(answers[-1] | said | {"start_seconds": span[0], "end_seconds": span[1]})
        return answers

    def learn(self, run: str, reviews: Path, output: Path) -> dict[str, Any]:
        """Return what ``learn`` says."""
        _done(learn.main(["--reviews", str(reviews), "--run", run, "--output", str(output)]))
        found: dict[str, Any] = json.loads((output / "learn.json").read_text(encoding="utf-8"))
        return found

    def publish(self, policy: str) -> bool:
        """Return whether the gates let a policy through."""
        return publish.main(["--policy", policy]) == 0

    def redo(self, run: str, name: str, *options: str) -> str:
        """Return the run that reprocessing with ``options`` makes."""
        summary = self._keep / f"{name}.json"
        _done(reprocess.main(["--run", run, *options, "--num-workers", "1", "--summary", str(summary)]))
        (made,) = json.loads(summary.read_text(encoding="utf-8"))
        return str(self._keep / "runs" / made["fingerprint"])

    def counted(self, system: str, run: str) -> list[dict[str, Any]]:
        """Return a row for the utterances that somebody reviewed, and one for the others."""
        rows = rows_of(run)
        seen = [row for row in rows if row["utterance_id"] in self.reviewed]
        others = [row for row in rows if row["utterance_id"] not in self.reviewed]
        kinds = {"reviewed": seen, "others": others}
        return [{"run": system, "utterances": kind} | self._f1(some) for kind, some in kinds.items()]

    def _f1(self, rows: Sequence[Row]) -> dict[str, float]:
        said = right = false = 0
        for row in rows:
            spoken = self._corpus.said(row["utterance_id"])
            written = Counter(one["entity"] for one in row["entities"] or ())
            said += spoken.total()
            right += (spoken & written).total()
            false += (written - spoken).total()
        return {
            "of": len(rows),
            "said": said,
            "found": right,
            "false": false,
            "F1": 200 * right / (said + right + false),
        }


def rows_of(run: str) -> list[Row]:
    return [row for file in RunFolder(open_filesystem(run)).files() for row in read_table(file).to_pylist()]


def said_of(learnt: Mapping[str, Any]) -> dict[str, float]:
    """Return what ``learn`` says of its policy against the one of the run, and what decoding again found."""
    policy = learnt["policy"]
    replay, difference = policy["replay"], policy["difference"]
    found = (replay["found_after"] - replay["found_before"]) / replay["utterances"]
    return {
        "decisions": policy["decisions"], "effective sample": policy["effective_sample"],
        "difference by DR": difference["value"], "from": difference["low"], "to": difference["high"],
        "decoded again": replay["utterances"], "names found more": found,
        "false more": (replay["false_after"] - replay["false_before"]) / replay["utterances"],
        "found lies within": difference["low"] <= found <= difference["high"],
    }  # fmt: skip


def _done(code: int) -> None:
    if code != 0:
        raise SystemExit("the command above did not succeed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--keep", type=Path, required=True, help="folder for all that is made; must not be there yet")
    parser.add_argument("--replays", type=int, default=0, metavar="N", help="seeds of the replay")
    parser.add_argument("--json", type=Path, help="write the rows of F1 here too")
    options = parser.parse_args()
    options.keep.mkdir(parents=True)
    audio, options.entities = make_corpus(options.data, options.keep)
    options.entities_column = None
    corpus = prepare(options, audio, None)
    rounds, first, reviews = Rounds(corpus, audio, options.keep), corpus.run.root.path, options.keep / "reviews"
    for seed in _SEEDS:
        rounds.review(first, _ROUND, seed, reviews)
    learnt = [rounds.learn(first, reviews, options.keep / "learnt-1")]
    published = [rounds.publish(learnt[0]["policy"]["file"])]
    exploring = rounds.redo(first, "policy", "--policy", learnt[0]["policy"]["file"], "--explore", "0.1")
    rounds.review(exploring, _SECOND, _SECOND_SEED, reviews)
    learnt.append(rounds.learn(first, reviews, options.keep / "learnt-2"))
    published.append(rounds.publish(learnt[1]["policy"]["file"]))
    calibrated = rounds.redo(first, "calibration", "--calibration", learnt[1]["ranking"]["file"])
    runs = {"first": first, "with the policy, exploring": exploring, "with what guard and cut learnt": calibrated}
    rows = [row for system, run in runs.items() for row in rounds.counted(system, run)]
    said = [{"learnt": at + 1, "published": published[at]} | said_of(one) for at, one in enumerate(learnt)]
    for seed in range(_FIRST_REPLAY, _FIRST_REPLAY + options.replays):
        folder = options.keep / f"replay-{seed}"
        folder.mkdir()
        rounds.review(exploring, _REPLAYED, seed, folder / "reviews")
        said.append(
            {"learnt": f"seed {seed}"} | said_of(rounds.learn(exploring, folder / "reviews", folder / "learnt"))
        )
    show("policies against those of the run", said, None)
    show("what they do", rows, options.json)


if __name__ == "__main__":
    main()
