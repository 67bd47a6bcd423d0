"""Runs that are killed resume: no row lost, none twice, none different."""

import signal
from pathlib import Path

from tests.support.killed_runs import BLOCK, START_SECONDS, UTTERANCES, kill_after, start, written
from tests.support.transcribing import noises, read_json, transcripts, write_corpus
from tests.support.workers import RAY

pytestmark = RAY


def test_killed_twice_and_resumed(tmp_path: Path, tiny: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES))
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    first = start(audio, killed, tiny, "ray")
    kill_after(first, killed, 3, signal.SIGINT)
    assert first.returncode == 130
    after_first = written(killed)
    kill_after(start(audio, killed, tiny, "ray"), killed, 3, signal.SIGKILL)
    after_second = written(killed)
    assert 3 <= after_first < after_second < UTTERANCES // BLOCK, "the kills must come in the middle"

    for output, executor in ((killed, "ray"), (whole, "local")):
        last = start(audio, output, tiny, executor)
        errors = last.communicate(timeout=START_SECONDS)[1]
        assert last.returncode == 0, errors
    resumed, undisturbed = (read_json(output.with_suffix(".json")) for output in (killed, whole))
    assert resumed["fingerprint"] == undisturbed["fingerprint"]
    assert resumed["resumed_rows"] >= after_first * BLOCK
    assert resumed["stages"]["encode"]["rows"] < UTTERANCES
    assert resumed["counts"] == undisturbed["counts"]
    rows = transcripts(resumed["transcripts"])
    assert len(rows) == UTTERANCES
    assert rows == transcripts(undisturbed["transcripts"])
