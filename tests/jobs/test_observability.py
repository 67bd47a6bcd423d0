"""What a run tells while it runs: counts and queues, Ray's metrics, the progress line, warnings about single rows."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest
import ray

from actors.batch import Batch
from actors.meter import RayMeter
from jobs.run.progress import speed
from pipeline.runs.counts import StageCount
from pipeline.runs.record import stage_facts


def batch(rows: int, audio: float, start: float, busy: float, device: float = 0.0) -> StageCount:
    return StageCount(
        rows=rows, audio_seconds=audio, busy_seconds=busy, device_seconds=device, bytes_in=1000, first_start=start,
        last_end=start + busy,
    )  # fmt: skip


def scraped(pattern: str, least: float, seconds: float = 90.0) -> float:
    """Return the highest metric that matches, as Prometheus would read it, once it is ``least``.

    They are reported now and then, and each run of the same Ray session has its own.
    """
    address = f"http://{ray.nodes()[0]['NodeManagerAddress']}:{ray.nodes()[0]['MetricsExportPort']}/metrics"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = urllib.request.urlopen(address, timeout=30).read().decode()
        found = [float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(pattern, line)]
        if found and max(found) >= least:
            return max(found)
        time.sleep(1)
    raise AssertionError(f"no metric {pattern} of {least} or more, only {found}")


@pytest.mark.usefixtures("ray_running")
def test_counts_queues_and_metrics() -> None:
    meter = RayMeter()
    for count in (batch(64, 500.0, 100.0, 4.0, 3.0), batch(36, 300.0, 104.0, 2.0, 2.0)):
        meter.add("encode", count)
    meter.add("decode", batch(64, 500.0, 105.0, 1.0))
    stages = meter.read() or {}
    assert (stages["decode"].queue, stages["decode"].peak_queue) == (36, 100)
    assert (stages["encode"].first_start, stages["encode"].last_end) == (100.0, 106.0)
    assert stages["decode"].first_start == 105.0
    facts = stage_facts(stages, {"encode": 2, "decode": 1}, on_gpus=True)
    assert facts["encode"]["rows_per_second"] == pytest.approx(100 / 6, abs=1e-3)
    assert facts["encode"]["busy_share"] == 0.5
    assert facts["encode"]["gpu_busy_share"] == pytest.approx(5 / 12, abs=1e-4)
    assert facts["decode"]["gpu_busy_share"] is None
    assert facts["encode"]["bytes_in"] == 2000
    assert scraped(r'ray_rollcall_rows_total\{.*stage="encode"', least=100) >= 100
    assert scraped(r'ray_rollcall_queue_rows\{.*stage="decode"', least=0) >= 0


@pytest.mark.usefixtures("ray_running")
def test_every_row_that_fails_is_logged_once_with_its_id() -> None:
    came = pa.table({"utterance_id": ["a", "b", "c"], "error": ["a: before", None, None]})
    went = came.set_column(1, "error", pa.array(["a: before", "b: é now", None], pa.string()))

    @ray.remote
    def decode() -> str:
        with Batch(RayMeter(), "decode", came) as work:
            work.done(went.append_column("duration_seconds", pa.array([1.0, 1.0, 1.0])))
        return str(ray.get_runtime_context().get_node_id())

    node = ray.get(decode.remote())
    logs = Path(ray._private.worker.global_worker.node.get_session_dir_path()) / "logs"
    lines = [line for file in logs.glob("worker-*.err") for line in file.read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith("{") and "b: é now" in line]
    assert [(row["utterance_id"], row["stage"], row["level"]) for row in rows] == [("b", "decode", "WARNING")]
    assert rows[0]["node_id"] == node
    assert not [line for line in lines if "a: before" in line]


def test_the_progress_line() -> None:
    count = batch(120, 3600.0, 100.0, 6.0)
    count.queue = 1_024
    said = speed(count, workers=2)
    assert said == "600 x real time, 20.0 rows/s, 0.167 audio h/s, busy 50%, 1,024 rows waiting, 0 MB in"
    assert speed(StageCount(), workers=1) == "starting"
