"""cluster.yaml is what Ray's launcher accepts, and has the groups that the jobs are written for."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from jobs.run.session import Wishes, choose_workers

PATH = Path(__file__).resolve().parents[2] / "cluster.yaml"


@pytest.fixture
def cluster() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return config


def test_the_launcher_accepts_it(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(cluster))


def test_the_launcher_refuses_a_broken_one(cluster: dict[str, Any]) -> None:
    del cluster["available_node_types"]["gpu_encoder"]["resources"]
    with pytest.raises(jsonschema.ValidationError, match="'resources' is a required property"):
        validate_config(prepare_config(cluster))


def test_the_head_does_no_work_and_every_group_is_bounded(cluster: dict[str, Any]) -> None:
    groups = cluster["available_node_types"]
    assert groups["head"]["resources"]["CPU"] == 0
    assert sum(group["max_workers"] for group in groups.values()) <= cluster["max_workers"]
    assert {"gpu_encoder", "cpu_decoder"} <= set(groups)


def test_gpu_nodes_encode_and_decode_audio_and_do_nothing_else(cluster: dict[str, Any]) -> None:
    gpu, cpu = (cluster["available_node_types"][name]["resources"] for name in ("gpu_encoder", "cpu_decoder"))
    assert (gpu["CPU"], gpu["GPU"]) == (0, 1)
    assert "GPU" not in cpu
    at_the_start = choose_workers({name: float(count) for name, count in cpu.items()}, Wishes(gpus_per_encoder=1))
    assert at_the_start.reader_slots == 1, "before there is a GPU node"
    whole = choose_workers({"CPU": 14.0, "GPU": 1.0, "audio": 9.0}, Wishes())
    for workers in (at_the_start, whole):
        assert (workers.encoder_cpus, workers.encoder_gpus, workers.reader_cpus) == (0.0, 1.0, 0.0)
        assert workers.decoder_cpus > 0
    assert whole.readers == gpu["audio"] + cpu["audio"]


def test_token_authentication_is_on_and_spilling_has_a_place(cluster: dict[str, Any]) -> None:
    for part in ("head_start_ray_commands", "worker_start_ray_commands"):
        start = cluster[part][-1]
        assert "RAY_AUTH_MODE=token ray start" in start
        assert "--object-spilling-directory=" in start
    assert cluster["available_node_types"]["gpu_encoder"]["min_workers"] == 0
    assert cluster["idle_timeout_minutes"] > 0
