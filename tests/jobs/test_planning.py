"""The arithmetic of jobs.plan on figures that can be checked by hand."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.plan import DEPLOY, human, main, read_rates
from jobs.run.planning import Node, Prices, Rates, Wanted, plan
from pipeline.errors import ConfigError

RATES = Rates(
    device="gpu", encode_x=1000.0, decode_x=100.0, encode_cores=2.0, audio_x=500.0, audio_mb_per_hour=30.0,
    transcript_mb_per_hour=2.0, cache_mb_per_hour=12.0, block_mb=8.0, source="a test",
)  # fmt: skip
PRICES = Prices("USD", Node("gpu", 8, 2, 4.0), Node("cpu", 10, 0, 1.0), 0.02, "a test")
WANTED = Wanted(audio_hours=1_000_000, deadline_hours=100, utilisation=0.5, cached=True, months=3)


def test_a_plan_by_hand() -> None:
    facts = plan(WANTED, RATES, PRICES)
    assert facts["gpu_hours"] == 1000  # 10^6 h at 1000 x real time
    assert facts["decode_hours"] == 10_000
    assert facts["cpu_hours"] == 14_000  # and two cores beside each GPU, and 2,000 h to decode audio
    assert facts["cores_per_gpu"] == 4  # two, and 1000 / 500
    assert facts["nodes"] == {"gpu": 10, "cpu": 20}  # 1000 h / (50 h x 2 GPUs), 10000 h / (50 h x 10 cores)
    assert facts["wall_hours"] == 100
    assert facts["audio_bytes"] == 30e12
    assert facts["cache_bytes"] == 12e12
    gpu = 128e6 + 2 * 4 * 245.76e6  # for each of two GPUs four times eight batches of 960 s at 32 kB/s
    assert facts["object_store_bytes"] == {"per cpu": 640e6, "per gpu": gpu, "total": 20 * 640e6 + 10 * gpu}
    assert facts["cost"]["compute"] == 100 * (10 * 4 + 20 * 1)
    assert facts["cost"]["storage"] == pytest.approx(14_000 * 3 * 0.02)  # 2 TB and 12 TB, three months


def test_audio_that_the_cores_beside_gpus_cannot_decode_is_decoded_beside_decoders() -> None:
    facts = plan(WANTED, dataclasses.replace(RATES, audio_x=250.0), PRICES)
    # 4,000 core hours of audio; ten nodes have 8 cores for 50 h, less 2,000 h of encoders: 2,000 h are left over
    assert facts["nodes"] == {"gpu": 10, "cpu": 24}
    assert facts["cores_per_gpu"] == 6


def test_without_gpus_everything_runs_on_cores() -> None:
    rates = dataclasses.replace(RATES, device="cpu", encode_x=50.0, encode_cores=1.0)
    facts = plan(dataclasses.replace(WANTED, cached=False), rates, PRICES)
    assert facts["gpu_hours"] == 0
    assert facts["cpu_hours"] == 30_000
    assert facts["nodes"] == {"cpu": 60}
    assert facts["cache_bytes"] == 0


def test_half_the_deadline_takes_twice_the_nodes_at_the_same_cost() -> None:
    slow, fast = plan(WANTED, RATES, PRICES), plan(dataclasses.replace(WANTED, deadline_hours=50), RATES, PRICES)
    assert {name: 2 * count for name, count in slow["nodes"].items()} == fast["nodes"]
    assert fast["cost"]["compute"] == slow["cost"]["compute"]


@pytest.mark.parametrize(
    "change",
    [
        {"audio_hours": 0.0},
        {"deadline_hours": -1.0},
        {"utilisation": 1.5},
        {"audio_hours": float("nan")},
    ],
)
def test_impossible_wishes(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        plan(dataclasses.replace(WANTED, **change), RATES, PRICES)  # type: ignore[arg-type]


def record(**encode: Any) -> dict[str, Any]:
    """What run.json says of a run of 36 s of audio."""
    stage = {"audio_seconds": 36.0, "busy_seconds": 0.5, "cpu_seconds": 1.0}
    stages = {"encode": stage | {"bytes_in": 300_000, "gpu_busy_share": None} | encode}
    stages["decode"] = stage | {"bytes_out": 20_000, "cpu_seconds": 0.1}
    return {"stages": stages, "emissions": {"mb_per_audio_hour": 11.0}}


def test_rates_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record()))
    rates = read_rates(str(path))
    assert (rates.device, rates.encode_x, rates.decode_x, rates.encode_cores) == ("cpu", 36.0, 360.0, 1.0)
    assert rates.audio_mb_per_hour == pytest.approx(30.0)
    assert rates.transcript_mb_per_hour == pytest.approx(2.0)
    assert rates.cache_mb_per_hour == 11.0
    path.write_text(json.dumps(record(gpu_busy_share=0.9)))
    rates = read_rates(str(path))
    assert (rates.device, rates.encode_x, rates.encode_cores) == ("gpu", 72.0, 2.0)  # by the time that the GPU is taken
    assert rates.audio_x == read_rates(None).audio_x
    apart = record(gpu_busy_share=0.9, bytes_in=9e9)
    apart["stages"]["audio"] = {"audio_seconds": 36.0, "cpu_seconds": 0.1, "bytes_in": 300_000}
    path.write_text(json.dumps(apart))
    rates = read_rates(str(path))
    assert (rates.audio_x, rates.audio_mb_per_hour) == (pytest.approx(360.0), pytest.approx(30.0))
    path.write_text(json.dumps({"stages": {}}))
    with pytest.raises(ConfigError, match="whole run"):
        read_rates(str(path))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hours", "1000000", "--deadline-days", "7", "--json"]) == 0
    out = capsys.readouterr()
    facts = json.loads(out.out)
    assert facts["wall_hours"] <= 7 * 24 + 1e-6
    assert facts["cpu_hours"] > 0
    assert "rates: " in out.err
    assert read_rates(None).source in out.err


def test_what_is_known_of_an_h200(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--hours", "1000000", "--rates", str(DEPLOY / "rates-h200.yaml"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert 30 <= facts["cores_per_gpu"] <= 60
    assert 1 <= facts["shortlist_cores_per_gpu"] <= 4


def test_cores_for_shortlists_are_counted_beside_gpus_alone() -> None:
    on_gpu = dataclasses.replace(RATES, device="gpu", encode_x=1000.0, encode_cores=1.0, audio_x=500.0)
    with_lists = dataclasses.replace(on_gpu, shortlist_x=250.0)
    few, more = plan(WANTED, on_gpu, PRICES), plan(WANTED, with_lists, PRICES)
    assert (few["cores_per_gpu"], few["shortlist_cores_per_gpu"]) == (3, 0)
    assert (more["cores_per_gpu"], more["shortlist_cores_per_gpu"]) == (7, 4)
    assert more["cpu_hours"] == pytest.approx(few["cpu_hours"] + WANTED.audio_hours / 250)
    assert (
        plan(WANTED, dataclasses.replace(RATES, device="cpu", shortlist_x=250.0), PRICES)["shortlist_cores_per_gpu"]
        == 0
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [("device: cpu\n", "encode_x"), ("speed: 3\n", "unknown key"), ("[1]", "mapping"), ("a: [", "parsed")],
)
def test_broken_rates(tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rates.yaml").write_text(content)
    assert main(["--hours", "10", "--rates", str(tmp_path / "rates.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_broken_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DEPLOY / "prices.yaml").read_text()
    (tmp_path / "prices.yaml").write_text(text.replace("per_hour: 0.98", "per_hour: cheap"))
    assert main(["--hours", "10", "--prices", str(tmp_path / "prices.yaml")]) == 2
    assert "gpu_node: 'per_hour'" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1_500_000, "1.5 MB"), (3e19, "30 EB")])
def test_sizes(size: float, text: str) -> None:
    assert human(size) == text
