"""Average a model and what training from audio, and then of its spelling branch, made of it.

    python -m benchmarks.training_data.average --model models/base_en_ctc --trained OUT --output AVERAGE

Between the weights before and after fine-tuning lie models that hear new speech nearly as well as the second and the
old as well as the first, or both better (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Where
``--trained`` has no spelling branch, the branch of before is kept.
"""

import argparse
from pathlib import Path

import torch

from pipeline.acoustic import checkpoint, model_files
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import PHONES


def average(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Return ``before`` with ``share`` of the way to ``after`` gone, for the weights that both have."""
    return {name: torch.lerp(value, after[name], share) if name in after else value for name, value in before.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base_en_ctc"), help="what training began with")
    parser.add_argument("--trained", type=Path, required=True, help="what it became")
    parser.add_argument("--share", type=float, default=0.5, help="of the trained one (default %(default)s)")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    network, config = checkpoint.load(options.model)
    trained, trained_config = checkpoint.load(options.trained)
    if checkpoint.shapes(config)[:2] != checkpoint.shapes(trained_config)[:2]:
        raise ModelError(f"{options.trained} has other shapes than {options.model}; give what its training began with.")
    network.load_state_dict(average(network.state_dict(), trained.state_dict(), options.share))
    tokeniser = options.model / model_files.TOKENISER
    checkpoint.save(options.output, network, checkpoint.shapes(config)[0], tokeniser, PHONES)


if __name__ == "__main__":
    main()
