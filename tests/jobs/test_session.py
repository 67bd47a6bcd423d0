import dataclasses
from typing import Any

import pytest
from ray.data import ActorPoolStrategy, TaskPoolStrategy

from jobs.run.session import Wishes, Workers, choose_workers

READERS: dict[str, Any] = {"readers": 3, "reader_cpus": 1.0}


@pytest.mark.parametrize(
    ("resources", "wishes", "workers"),
    [
        ({"CPU": 1}, Wishes(), Workers(1, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 2}, Wishes(), Workers(2, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 16}, Wishes(), Workers(16, 4, 0.0, 0.7, 0.7)),
        ({"CPU": 16, "GPU": 2}, Wishes(), Workers(2, 10, 1.0, 0.0, 1.0, **READERS)),
        (
            {"CPU": 16, "GPU": 1},
            Wishes(gpus_per_encoder=0.5),
            Workers(2, 10, 0.5, 0.0, 1.0, readers=3, reader_cpus=1.0),
        ),
        ({"CPU": 8, "GPU": 1}, Wishes(encoders=4, decoders=2, gpus_per_encoder=0), Workers(4, 2, 0.0, 1.0, 1.0)),
        (
            {"CPU": 16},
            Wishes(encoders=8, gpus_per_encoder=1),
            Workers(8, 10, 1.0, 0.0, 1.0, readers=3, reader_cpus=1.0),
        ),
        ({"CPU": 16, "GPU": 1}, Wishes(decoders=4), Workers(1, 4, 1.0, 0.0, 1.0, readers=9, reader_cpus=1.0)),
        ({"CPU": 2, "GPU": 1}, Wishes(), Workers(1, 1, 1.0, 0.0, 0.0, readers=1, reader_cpus=0.0)),
        ({"CPU": 16, "GPU": 2, "audio": 14}, Wishes(), Workers(2, 13, 1.0, 0.0, 1.0, readers=14, reader_slots=1.0)),
    ],
)
def test_workers_fit_and_leave_room_to_read(resources: dict[str, float], wishes: Wishes, workers: Workers) -> None:
    chosen = choose_workers(resources, wishes)
    assert dataclasses.replace(chosen, alone=workers.alone) == workers
    taken = chosen.encoders * chosen.encoder_cpus + chosen.decoders * chosen.decoder_cpus
    taken += chosen.readers * chosen.reader_cpus
    assert taken <= max(0, resources["CPU"] - 2) + 1e-9


def test_pools_grow_only_on_clusters_and_only_where_actors_take_something() -> None:
    here = choose_workers({"CPU": 16, "GPU": 1}, Wishes())
    assert here.pool(1, here.encoder_gpus) == ActorPoolStrategy(size=1, max_tasks_in_flight_per_actor=2)
    there = choose_workers({"CPU": 16, "GPU": 1}, Wishes(), on_cluster=True)
    assert there.pool(1, there.encoder_gpus).max_size == float("inf")
    assert there.pool(3, 0.0).max_size == 3
    wished = choose_workers({"CPU": 16, "GPU": 1}, Wishes(encoders=1), on_cluster=True)
    assert wished.pool(1, wished.encoder_gpus).max_size == 1


def test_audio_is_decoded_apart_only_beside_gpus() -> None:
    cores, gpu = choose_workers({"CPU": 16, "audio": 4}, Wishes()), choose_workers({"CPU": 16, "GPU": 1}, Wishes())
    assert cores.by_stage == {"encode": 16, "decode": 4}
    assert gpu.by_stage == {"audio": 3, "encode": 1, "decode": 10}
    assert gpu.reading == TaskPoolStrategy(size=3)
    assert choose_workers({"CPU": 16, "GPU": 1}, Wishes(), on_cluster=True).reading == TaskPoolStrategy()


def test_a_cached_first_pass_leaves_every_core_to_the_decoders() -> None:
    assert choose_workers({"CPU": 16}, Wishes()).alone == (16, 0.87)
    assert choose_workers({"CPU": 16}, Wishes(decoders=4)).alone == (4, 1.0)


def test_there_are_no_more_workers_than_blocks() -> None:
    small = choose_workers({"CPU": 16}, Wishes(), blocks=3)
    assert (small.encoders, small.decoders, small.alone) == (3, 3, (3, 1.0))
    few = choose_workers({"CPU": 16, "GPU": 4}, Wishes(), blocks=2)
    assert (few.encoders, few.decoders, few.readers) == (2, 2, 2)
    assert choose_workers({"CPU": 16}, Wishes(encoders=8, decoders=2), blocks=1).encoders == 8
    assert choose_workers({"CPU": 2}, Wishes(), blocks=0).encoders == 1
