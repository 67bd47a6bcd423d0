"""Kill parts of a run at random times, resume it, and compare with the undisturbed run row by row.

    python -m benchmarks.fault_injection --audio corpus.parquet --rounds 20 [--json FILE] [options of jobs.transcribe]

A cluster of two nodes on this machine. Each round transcribes the corpus into a folder of its own and kills with
SIGKILL, at random times between its first and its last file: a decode worker, an encoder actor, the raylet of the
second node (which takes the node's workers and stored objects with it; another one joins) or the driver, in turn.
Where the command ends in failure it is run again until it does not. All the while a reader reads every transcript file
that it can see.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import show
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem
from tests.support.attempts import PATIENCE, Attempt, compare, read_rows, transcript_files, watched
from tests.support.local_cluster import LocalCluster, local_cluster, transcribe, workers

KINDS = ("decoder", "encoder", "raylet", "driver")
SECOND = "second"
_LATEST = 0.8  # share of the files by which the kill comes
_CPUS = 2  # per node
_CLASSES = {"decoder": "DecoderActor", "encoder": "EncoderActor"}


def main(argv: list[str] | None = None) -> int:
    """Run the rounds and print them; exit code 0 if every round equals the undisturbed run, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--kills", type=int, default=1, help="in each round, of different parts as far as there are")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--gpus", type=int, default=0, help="that each node offers to encoders, whether it has them or not"
    )
    parser.add_argument(
        "--texts", action="store_true", help="compare texts, not all bytes: on GPUs the last bits of a row may differ"
    )
    parser.add_argument("--json", type=Path)
    arguments, options = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as folder, two_nodes(arguments.gpus) as cluster:
        command, chance = ["--audio", arguments.audio, *options], random.Random(arguments.seed)
        rounds = Rounds(cluster, command, Path(folder), chance, arguments.gpus, arguments.texts)
        kinds = itertools.cycle(arguments.kinds)
        rows = []
        for number in range(arguments.rounds):
            rows.append(rounds.run(number, list(itertools.islice(kinds, arguments.kills))))
            print(rows[-1], flush=True)
    show(f"{arguments.rounds * arguments.kills} kills, {rounds.rows} utterances", rows, arguments.json)
    return int(any(row["lost"] or row["repeated"] or row["differing"] or row["problems"] for row in rows))


@contextlib.contextmanager
def two_nodes(gpus: int) -> Iterator[LocalCluster]:
    """A head and a second node with the same resources."""
    with local_cluster() as cluster:
        cluster.add("head", _CPUS, gpus)
        cluster.add(SECOND, _CPUS, gpus)
        yield cluster


class Rounds:
    """The undisturbed run, and rounds that are compared with it.

    command: arguments of jobs.transcribe but for the output
    gpus:    of each node
    texts:   only texts are compared
    """

    def __init__(
        self, cluster: LocalCluster, command: list[str], folder: Path, chance: random.Random, gpus: int, texts: bool
    ) -> None:
        self._cluster, self._command, self._folder, self._chance = cluster, command, folder, chance
        self._gpus, self._texts = gpus, texts
        whole = folder / "undisturbed"
        Attempt(lambda errors: transcribe(cluster.address, [*command, "--output", str(whole)], errors)).finish()
        self._expected = read_rows(whole)
        self._files = len(transcript_files(whole))

    @property
    def rows(self) -> int:
        return len(self._expected)

    def run(self, number: int, kinds: Sequence[str]) -> dict[str, Any]:
        """Run, kill at as many moments as there are ``kinds``, resume; return what happened and what differs."""
        output, began = self._folder / f"round{number}", time.time()
        moments = sorted(self._chance.randint(1, max(1, int(_LATEST * self._files))) for _ in kinds)
        killed = []
        with watched(output) as seen:
            command = [*self._command, "--output", str(output)]
            attempt = Attempt(lambda errors: transcribe(self._cluster.address, command, errors))
            for kind, wanted in zip(self._chance.sample(list(kinds), len(kinds)), moments, strict=True):
                attempt.wait(lambda wanted=wanted: len(transcript_files(output)) >= wanted)  # type: ignore[misc]
                time.sleep(self._chance.uniform(0, 0.2))  # any moment of a file's making, not only just after the last
                self._kill(kind, attempt)
                killed.append(f"{kind} at {len(transcript_files(output))}")
            attempt.finish()
        folder = RunFolder(open_filesystem(str(next(output.iterdir()))))
        facts = {"round": number, "killed": ", ".join(killed), "files": self._files, "attempts": attempt.number}
        facts |= {"seconds": round(time.time() - began), "files_read": seen["whole"], "partial": seen["partial"]}
        return facts | compare(self._expected, read_rows(output), self._texts) | {"problems": len(problems(folder))}

    def _kill(self, kind: str, attempt: "Attempt") -> None:
        if kind == "raylet":
            self._cluster.kill(SECOND)
            self._cluster.add(SECOND, _CPUS, self._gpus)
        elif kind == "driver":
            attempt.kill()
        else:
            found = _patiently(lambda: workers(os.getpid(), _CLASSES[kind]))
            os.kill(self._chance.choice(sorted(found)), signal.SIGKILL)


def _patiently(look: Callable[[], list[int]]) -> list[int]:
    """Return what ``look`` finds, which may be nothing for a moment: a worker that was killed before is restarted."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError("there is no such worker.")
        time.sleep(0.1)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
