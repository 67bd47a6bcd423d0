import pytest

from jobs.session import Wishes, Workers, choose_workers


@pytest.mark.parametrize(
    ("resources", "wishes", "workers"),
    [
        ({"CPU": 1}, Wishes(), Workers(1, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 2}, Wishes(), Workers(2, 1, 0.0, 0.0, 0.0)),
        ({"CPU": 16}, Wishes(), Workers(16, 4, 0.0, 0.7, 0.7)),
        ({"CPU": 16, "GPU": 2}, Wishes(), Workers(2, 12, 1.0, 1.0, 1.0)),
        ({"CPU": 16, "GPU": 1}, Wishes(gpus_per_encoder=0.5), Workers(2, 12, 0.5, 1.0, 1.0)),
        ({"CPU": 8, "GPU": 1}, Wishes(encoders=4, decoders=2, gpus_per_encoder=0), Workers(4, 2, 0.0, 1.0, 1.0)),
        ({"CPU": 16}, Wishes(encoders=8, gpus_per_encoder=1), Workers(8, 6, 1.0, 1.0, 1.0)),
    ],
)
def test_workers_fit_and_leave_room_to_read(resources: dict[str, float], wishes: Wishes, workers: Workers) -> None:
    chosen = choose_workers(resources, wishes)
    assert chosen == workers
    taken = chosen.encoders * chosen.encoder_cpus + chosen.decoders * chosen.decoder_cpus
    assert taken <= max(0, resources["CPU"] - 2) + 1e-9
