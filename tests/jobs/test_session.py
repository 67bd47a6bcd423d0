import dataclasses

import pytest
from ray.data import ActorPoolStrategy

from jobs.run.session import Wishes, Workers, choose_workers


@pytest.mark.parametrize(
    ("resources", "wishes", "workers"),
    [
        ({"CPU": 1}, Wishes(), Workers(1, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 2}, Wishes(), Workers(2, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 16}, Wishes(), Workers(16, 4, 0.0, 0.7, 0.7)),
        ({"CPU": 16, "GPU": 2}, Wishes(), Workers(2, 12, 1.0, 0.0, 1.0)),
        ({"CPU": 16, "GPU": 1}, Wishes(gpus_per_encoder=0.5), Workers(2, 12, 0.5, 0.0, 1.0)),
        ({"CPU": 8, "GPU": 1}, Wishes(encoders=4, decoders=2, gpus_per_encoder=0), Workers(4, 2, 0.0, 1.0, 1.0)),
        ({"CPU": 16}, Wishes(encoders=8, gpus_per_encoder=1), Workers(8, 6, 1.0, 0.0, 1.0)),
    ],
)
def test_workers_fit_and_leave_room_to_read(resources: dict[str, float], wishes: Wishes, workers: Workers) -> None:
    chosen = choose_workers(resources, wishes)
    assert dataclasses.replace(chosen, alone=workers.alone) == workers
    taken = chosen.encoders * chosen.encoder_cpus + chosen.decoders * chosen.decoder_cpus
    assert taken <= max(0, resources["CPU"] - 2) + 1e-9


def test_pools_grow_only_on_clusters_and_only_where_actors_take_something() -> None:
    here = choose_workers({"CPU": 16, "GPU": 1}, Wishes())
    assert here.pool(1, here.encoder_gpus) == ActorPoolStrategy(size=1, max_tasks_in_flight_per_actor=2)
    there = choose_workers({"CPU": 16, "GPU": 1}, Wishes(), on_cluster=True)
    assert there.pool(1, there.encoder_gpus).max_size == float("inf")
    assert there.pool(3, 0.0).max_size == 3
    wished = choose_workers({"CPU": 16, "GPU": 1}, Wishes(encoders=1), on_cluster=True)
    assert wished.pool(1, wished.encoder_gpus).max_size == 1


def test_a_cached_first_pass_leaves_every_core_to_the_decoders() -> None:
    assert choose_workers({"CPU": 16}, Wishes()).alone == (16, 0.87)
    assert choose_workers({"CPU": 16}, Wishes(decoders=4)).alone == (4, 1.0)
