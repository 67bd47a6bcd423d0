"""A run on several nodes: who works where, nodes that leave and join, workers and drivers that are killed."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.verify import main as verify
from pipeline.config import AcousticConfig, BeamConfig, RunConfig
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.lists import load_entities
from pipeline.recognition.recogniser import Recogniser
from tests.support.attempts import Attempt, compare, read_rows, transcript_files, watched
from tests.support.local_cluster import LocalCluster, local_cluster, transcribe, workers
from tests.support.transcribing import GREEDY, noises, read_json, write_corpus
from tests.support.workers import RAY

pytestmark = RAY
UTTERANCES, BLOCK = 240, 4
FILES = UTTERANCES // BLOCK


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """As cluster.yaml has it: a head that does no work, and a node without GPUs."""
    with local_cluster() as nodes:
        nodes.add("head", cpus=0)
        nodes.add("cpu", cpus=4, audio=1)
        yield nodes


def alone(audio: Path, model: Path) -> list[dict[str, Any]]:
    """The same work in this process, block by block."""
    config = RunConfig(
        acoustic=AcousticConfig(model=str(model)), language_model=None, beam=BeamConfig(decoder="greedy")
    )
    recogniser = Recogniser.load(config, load_entities(None), config_fingerprint=config_fingerprint(config))
    blocks = pq.ParquetFile(audio).iter_batches(BLOCK)
    return [
        row
        for block in blocks
        for row in recogniser.transcribe(recogniser.encode(pa.Table.from_batches([block]))).to_pylist()
    ]


def test_nodes_come_and_go_and_the_rows_are_those_of_one_process(
    cluster: LocalCluster, tmp_path: Path, tiny: Path
) -> None:
    audio, output = write_corpus(tmp_path / "a.parquet", noises(UTTERANCES, 0.5)), tmp_path / "out"
    command = ["--audio", str(audio), "--output", str(output), "--model", str(tiny), "--block-rows", str(BLOCK)]
    command += ["--config", str(tmp_path / "small.yaml"), "--preset", "baseline", "--gpus-per-encoder", "1"]
    command += ["--patience", "2", "--summary", str(tmp_path / "s.json")]
    (tmp_path / "small.yaml").write_text(GREEDY + "acoustic: {batch_seconds: 8}\n")  # an encoder gets 60 rows at once

    def files(count: int) -> None:
        attempt.wait(lambda: len(transcript_files(output)) >= count)

    with watched(output) as seen:
        attempt = Attempt(lambda errors: transcribe(cluster.address, command, errors))
        attempt.wait(lambda: bool(workers(cluster.raylet("cpu"), "DecoderActor")))
        assert not transcript_files(output), "there is no GPU yet"

        cluster.add("gpu", cpus=0, gpus=1, audio=1)  # a node that joins is used
        files(2)
        assert workers(cluster.raylet("gpu"), "EncoderActor")
        assert not workers(cluster.raylet("gpu"), "DecoderActor")
        assert not workers(cluster.raylet("cpu"), "EncoderActor")

        os.kill(random.choice(workers(cluster.raylet("cpu"), "DecoderActor")), signal.SIGKILL)
        os.kill(workers(cluster.raylet("gpu"), "EncoderActor")[0], signal.SIGKILL)
        files(FILES // 4)

        cluster.kill("gpu")  # one that leaves costs time only; another takes what was not encoded yet
        cluster.add("another", cpus=0, gpus=1, audio=1)
        attempt.wait(lambda: bool(workers(cluster.raylet("another"), "EncoderActor")))  # once Ray knows of the loss
        files(len(transcript_files(output)) + 1)
        attempt.kill()
        attempt.finish()
    stages = read_json(tmp_path / "s.json")["stages"]
    assert list(stages) == ["audio", "encode", "decode"]
    assert stages["encode"]["batch_seconds"] is not None
    assert compare(alone(audio, tiny), read_rows(output)) == {"lost": 0, "repeated": 0, "differing": 0}
    assert attempt.number == 2, "only the driver that was killed had to be started again"
    assert seen["whole"] >= FILES / 2
    assert seen["partial"] == 0
    assert verify([str(next(output.iterdir()))]) == 0
