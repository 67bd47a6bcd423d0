"""Average a model and what trainings made of it: one from audio, one of its spelling branch.

    python -m benchmarks.training_data.average --model models/base_en_ctc --trained LEG=0.5 SPELLED=0.5 --output AVERAGE

Between the weights before and after fine-tuning lie models that hear new speech nearly as well as the second and the
old as well as the first, or both better (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). What several
trainings changed is added up, each by its share (Ilharco et al. 2023, "Editing models with task arithmetic"). Where a
trained model has no spelling branch, it changes none.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.acoustic import checkpoint, model_files
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import PHONES

Weights = dict[str, torch.Tensor]


def average(before: Weights, trained: Sequence[tuple[Weights, float]]) -> Weights:
    """Return ``before`` and, for each of ``trained``, that share of the way to it, for the weights that both have."""
    moved = {name: value.clone() for name, value in before.items()}
    for after, share in trained:
        for name in moved.keys() & after.keys():
            moved[name] += share * (after[name] - before[name])
    return moved


def read_trained(given: str, shapes: tuple[object, ...]) -> tuple[Weights, float]:
    """Return the weights of DIR[=SHARE] and the share, 0.5 if none is given."""
    folder, _, share = given.partition("=")
    network, config = checkpoint.load(Path(folder))
    if checkpoint.shapes(config)[:2] != shapes:
        raise ModelError(f"{folder} has other shapes than --model; give what its training began with.")
    return network.state_dict(), float(share or 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base_en_ctc"), help="what training began with")
    parser.add_argument("--trained", nargs="+", required=True, help="what it became, DIR[=SHARE] (share: 0.5)")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    network, config = checkpoint.load(options.model)
    shapes = checkpoint.shapes(config)[:2]
    trained = [read_trained(given, shapes) for given in options.trained]
    network.load_state_dict(average(network.state_dict(), trained))
    tokeniser = options.model / model_files.TOKENISER
    checkpoint.save(options.output, network, shapes[0], tokeniser, PHONES)


if __name__ == "__main__":
    main()
