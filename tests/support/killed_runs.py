"""Runs of jobs.transcribe in processes of their own, to be killed in the middle."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
UTTERANCES, BLOCK = 140, 4
START_SECONDS = 300  # a loaded machine may take minutes to start Ray


def start(audio: Path, output: Path, tiny: Path, executor: str, address: str | None = None) -> subprocess.Popen[bytes]:
    """Start jobs.transcribe with a tiny model; its summary lies beside ``output``.

    address: of the Ray that it uses; without one it starts its own
    """
    command = [sys.executable, "-m", "jobs.transcribe", "--audio", str(audio), "--output", str(output)]
    command += ["--model", str(tiny), "--config", str(tiny.parent / "greedy.yaml"), "--block-rows", str(BLOCK)]
    command += ["--num-encoders", "1", "--summary", str(output.with_suffix(".json")), "--executor", executor]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"RAY_ADDRESS": address} if address else {})
    return subprocess.Popen(
        command, cwd=ROOT, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=_heed_interrupts,
    )  # fmt: skip


def _heed_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def written(output: Path) -> int:
    """Return how many transcript files a reader sees now, after reading each: they must be whole at any moment."""
    count = 0
    for file in output.glob("*/transcripts/*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # a new attempt takes back what was not committed
            count += pq.read_metadata(file).num_rows > 0
    return count


def kill_after(process: subprocess.Popen[bytes], output: Path, files: int, sign: signal.Signals) -> None:
    """Send ``sign`` to the driver once ``files`` more files are there, and wait until it is gone.

    SIGINT goes to the whole process group, as a terminal sends it.
    """
    wanted = written(output) + files
    deadline = time.monotonic() + START_SECONDS
    while written(output) < wanted:
        assert process.poll() is None, f"the run ended by itself: {process.communicate()[1]!r}"
        assert time.monotonic() < deadline, "the run wrote nothing"
        time.sleep(0.01)
    if sign == signal.SIGINT:
        os.killpg(process.pid, sign)
    else:
        process.send_signal(sign)
    process.communicate(timeout=START_SECONDS)
