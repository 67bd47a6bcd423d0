"""Runs that are killed resume: no row lost, none twice, none different."""

import shutil
import signal
from pathlib import Path

import ray

from jobs.run.executor import LOCAL, RAY
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import problems
from pipeline.storage import open_filesystem
from tests.support.killed_runs import BLOCK, START_SECONDS, UTTERANCES, kill_after, start, written
from tests.support.transcribing import noises, read_json, transcripts, write_corpus


def test_killed_three_times_and_finished_by_either_executor(tmp_path: Path, tiny: Path, ray_running: None) -> None:
    """Ray goes on with what the other executor began, and the other way round.

    One driver is killed together with the Ray that it started; the others work on a cluster that outlives them.
    """
    cluster = ray.get_runtime_context().gcs_address
    audio = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES))
    killed, moved, whole = tmp_path / "killed", tmp_path / "moved", tmp_path / "whole"

    done = [0]
    kills = ((LOCAL, None, signal.SIGKILL), (RAY, cluster, signal.SIGINT), (RAY, None, signal.SIGKILL))
    for executor, address, sign in kills:
        process = start(audio, killed, tiny, executor, address)
        kill_after(process, killed, 3, sign)
        assert process.returncode == (130 if sign == signal.SIGINT else -sign)
        done.append(written(killed))
    assert done == sorted(set(done)), "every part must have brought rows"
    assert done[-1] < UTTERANCES // BLOCK, "the kills must come in the middle"

    shutil.copytree(killed, moved)
    for output, executor, address in ((killed, RAY, cluster), (moved, LOCAL, None), (whole, LOCAL, None)):
        last = start(audio, output, tiny, executor, address)
        errors = last.communicate(timeout=START_SECONDS)[1]
        assert last.returncode == 0, errors
    undisturbed = read_json(whole.with_suffix(".json"))
    for output in (killed, moved):
        resumed = read_json(output.with_suffix(".json"))
        assert resumed["fingerprint"] == undisturbed["fingerprint"]
        assert resumed["resumed_rows"] >= done[-1] * BLOCK
        assert resumed["stages"]["encode"]["rows"] < UTTERANCES
        assert resumed["counts"] == undisturbed["counts"]
        rows = transcripts(resumed["transcripts"])
        assert len(rows) == UTTERANCES
        assert rows == transcripts(undisturbed["transcripts"])
        assert problems(RunFolder(open_filesystem(resumed["transcripts"]).parent)) == []
