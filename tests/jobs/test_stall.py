"""Runs that stand still without anything having died."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import transcribe
from jobs.run.stall import carry_through
from tests.support.attempts import transcript_files
from tests.support.local_cluster import workers
from tests.support.transcribing import noises, read_json, transcripts, write_corpus

UTTERANCES, BLOCK = 160, 4
PATIENCE = 15.0  # seconds


@contextlib.contextmanager
def frozen(output: Path, class_name: str) -> Iterator[list[int]]:
    """Freeze the first worker of the class once two files are there, as a machine that swaps or a paused guest does.

    It dies when the run goes on without it, which is when files come again after PATIENCE without one: Ray waits for a
    frozen worker, a minute here and there, to the end.
    """
    left, stopped = threading.Event(), list[int]()

    def files() -> int:
        return len(transcript_files(output))

    def wait_until_begun_again() -> None:
        count, since = files(), time.monotonic()
        while not left.wait(0.02):
            now = files()
            if now != count and time.monotonic() - since > PATIENCE:
                return
            if now != count:  # of what the worker had done when it was frozen
                count, since = now, time.monotonic()

    def freeze() -> None:
        while files() < 2 and not left.wait(0.02):
            pass
        for pid in workers(os.getpid(), class_name)[:1]:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
            wait_until_begun_again()
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield stopped
    finally:
        left.set()
        thread.join()


def test_a_worker_that_is_frozen(
    tmp_path: Path, tiny: Path, ray_running: None, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES, 0.5))
    command = ["--audio", str(audio), "--model", str(tiny), "--config", str(tiny.parent / "greedy.yaml")]
    command += ["--block-rows", str(BLOCK), "--num-encoders", "1", "--patience", str(PATIENCE / 60)]
    for name, executor in (("undisturbed", "local"), ("out", "ray")):
        output = ["--output", str(tmp_path / name), "--summary", str(tmp_path / f"{name}.json")]
        with frozen(tmp_path / "out", "DecoderActor") as pids:
            assert transcribe.main([*command, *output, "--executor", executor]) == 0
    assert len(pids) == 1
    expected, found = (read_json(tmp_path / f"{name}.json") for name in ("undisturbed", "out"))
    assert transcripts(found["transcripts"]) == transcripts(expected["transcripts"])
    assert found["counts"] == expected["counts"]
    assert (expected["restarts"], found["restarts"]) == (0, 1)
    assert "nothing was done for 0.25 min; broken off, and begun again" in capsys.readouterr().out


def test_patience_grows_until_slow_steps_end() -> None:
    steps, said = [0.2, 5.0, 5.0], list[str]()
    done = 0

    def work() -> None:
        nonlocal done
        for seconds in steps[done:]:
            time.sleep(seconds)
            done += 1

    assert carry_through(work, lambda: done, 1.2, said.append, restart=0.0) == 2
    assert [text.split(";")[0] for text in said] == [f"nothing was done for {part} min" for part in ("0.02", "0.04")]
    assert done == len(steps)


def test_what_has_not_begun_is_waited_for() -> None:
    assert carry_through(lambda: time.sleep(3), lambda: 0, 0.5, print) == 0
    assert carry_through(lambda: time.sleep(3), lambda: None, 0.5, print) == 0


def test_an_interrupt_by_the_user_is_one() -> None:
    def work() -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script's shell starts may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            carry_through(work, lambda: 1, 60.0, print)
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_work_is_simply_done() -> None:
    found = list[int]()
    thread = threading.Thread(
        target=lambda: found.append(carry_through(lambda: None, lambda: 1, 0.1, print)), daemon=True
    )
    thread.start()
    thread.join()
    assert found == [0]


def test_patience_must_be_positive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(1))
    assert transcribe.main(["--audio", str(audio), "--output", str(tmp_path / "o"), "--patience", "0"]) == 2
    assert "--patience must be more than 0 minutes, got 0" in capsys.readouterr().err
