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
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.local_cluster import LocalCluster, local_cluster, transcribe, workers
from benchmarks.table import show
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem

KINDS = ("decoder", "encoder", "raylet", "driver")
SECOND = "second"
_ATTEMPTS = 5  # of one command, before the round counts as failed
_PATIENCE = 600.0  # seconds for one attempt on a loaded machine
_SHOWN = 10_000  # last characters of what a command said that failed
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
    parser.add_argument("--json", type=Path)
    arguments, options = parser.parse_known_args(argv)
    with tempfile.TemporaryDirectory() as folder, two_nodes() as cluster:
        rounds = Rounds(cluster, ["--audio", arguments.audio, *options], Path(folder), random.Random(arguments.seed))
        kinds = itertools.cycle(arguments.kinds)
        rows = []
        for number in range(arguments.rounds):
            rows.append(rounds.run(number, list(itertools.islice(kinds, arguments.kills))))
            print(rows[-1], flush=True)
    show(f"{arguments.rounds * arguments.kills} kills, {rounds.rows} utterances", rows, arguments.json)
    return int(any(row["lost"] or row["repeated"] or row["differing"] or row["problems"] for row in rows))


@contextlib.contextmanager
def two_nodes() -> Iterator[LocalCluster]:
    """A head and a second node with the same resources."""
    with local_cluster() as cluster:
        cluster.add("head", _CPUS)
        cluster.add(SECOND, _CPUS)
        yield cluster


class Rounds:
    """The undisturbed run, and rounds that are compared with it.

    command: arguments of jobs.transcribe but for the output
    """

    def __init__(self, cluster: LocalCluster, command: list[str], folder: Path, chance: random.Random) -> None:
        self._cluster, self._command, self._folder, self._chance = cluster, command, folder, chance
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
        return facts | compare(self._expected, read_rows(output)) | {"problems": len(problems(folder))}

    def _kill(self, kind: str, attempt: "Attempt") -> None:
        if kind == "raylet":
            self._cluster.kill(SECOND)
            self._cluster.add(SECOND, _CPUS)
        elif kind == "driver":
            attempt.kill()
        else:
            found = _patiently(lambda: workers(os.getpid(), _CLASSES[kind]))
            os.kill(self._chance.choice(sorted(found)), signal.SIGKILL)


class Attempt:
    """A run of the command, started again for as long as it fails and attempts are left.

    start: starts the command with its stderr in the file that is given
    """

    def __init__(self, start: Callable[[IO[bytes]], subprocess.Popen[bytes]]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with this object
        self._start, self._process, self.number = start, start(self._errors), 1

    def kill(self) -> None:
        """SIGKILL the driver, and start the command again."""
        self._process.kill()
        self._ended()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds while the command runs."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if self._process.poll() is not None and not self._ended():
                raise RuntimeError("the run was complete before the moment of the kill; give it a larger corpus.")
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing came within {_PATIENCE:.0f} s. It said {self._said()!r}")
            time.sleep(0.02)

    def finish(self) -> None:
        """Wait until the command has succeeded."""
        while self._ended():
            pass

    def _ended(self) -> bool:
        """Wait for the end of the process; return whether it failed and another was started."""
        if self._process.wait(timeout=_PATIENCE) == 0:
            return False
        if self.number == _ATTEMPTS:
            raise RuntimeError(f"{_ATTEMPTS} attempts failed, the last with {self._said()!r}")
        self._process, self.number = self._start(self._errors), self.number + 1
        return True

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-_SHOWN:]


def _patiently(look: Callable[[], list[int]]) -> list[int]:
    """Return what ``look`` finds, which may be nothing for a moment: a worker that was killed before is restarted."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError("there is no such worker.")
        time.sleep(0.1)
    return found


def compare(expected: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many rows are lost, repeated and differing; those that nobody expected count as differing."""
    wanted = {row["utterance_id"]: row for row in expected}
    counts = Counter(row["utterance_id"] for row in rows)
    return {
        "lost": len(wanted.keys() - counts.keys()),
        "repeated": len(rows) - len(counts),
        "differing": sum(row != wanted.get(row["utterance_id"]) for row in rows),
    }


def read_rows(output: Path) -> list[dict[str, Any]]:
    """Return all transcripts of the one run below ``output``."""
    return [row for file in transcript_files(output) for row in pq.read_table(file).to_pylist()]


def transcript_files(output: Path) -> list[Path]:
    """Return what a reader finds there now."""
    return sorted(output.glob("*/transcripts/*.parquet"))


@contextlib.contextmanager
def watched(output: Path) -> Iterator[Counter[str]]:
    """Read every file that appears until the block is left; counts ``whole`` and ``partial`` ones."""
    seen: Counter[str] = Counter()
    stop = threading.Event()
    reader = threading.Thread(target=_read_until, args=(stop, output, seen))
    reader.start()
    try:
        yield seen
    finally:
        stop.set()
        reader.join()


def _read_until(stop: threading.Event, output: Path, seen: Counter[str]) -> None:
    known: set[Path] = set()
    while not stop.wait(0.02):
        for file in set(transcript_files(output)) - known:
            known.add(file)
            with contextlib.suppress(FileNotFoundError):  # a new attempt takes back what was not committed
                seen["whole" if _is_whole(file) else "partial"] += 1


def _is_whole(file: Path) -> bool:
    try:
        return bool(pq.read_table(file).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        return False


if __name__ == "__main__":
    raise SystemExit(main())
