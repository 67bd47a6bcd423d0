"""Averages of what trainings made of one model."""

import torch

from benchmarks.training_data.average import average


def test_each_training_counts_by_its_share_where_it_has_the_weight() -> None:
    before = {"base": torch.tensor([1.0, 2.0]), "branch": torch.tensor([4.0])}
    from_audio = {"base": torch.tensor([3.0, 2.0])}
    spelled = {"base": torch.tensor([1.0, 2.0]), "branch": torch.tensor([8.0])}
    found = average(before, [(from_audio, 0.5), (spelled, 0.25)])
    assert found["base"].tolist() == [2.0, 2.0]
    assert found["branch"].tolist() == [5.0]
    assert before["base"].tolist() == [1.0, 2.0]
