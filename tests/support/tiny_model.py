"""A tiny model directory of our own format, random weights, made in a second."""

from pathlib import Path

import sentencepiece
import torch

from pipeline.acoustic import checkpoint
from pipeline.acoustic.head import HeadConfig
from pipeline.acoustic.network import BackboneConfig, CtcNetwork
from pipeline.lexicon.phones import PHONES

TEXT = (
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "it's o'neill's",
    "then there they them these the three thin things",
    "dogs doing dozens of odd deeds over and over",
)
PIECES = 48
BACKBONE = BackboneConfig(width=32, layers=4, heads=2, taps=(2, 4))


def tiny_tokeniser(folder: Path) -> Path:
    """Train a SentencePiece unigram model whose id 0 is <unk>."""
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 20), model_prefix=str(folder / "tiny"), vocab_size=PIECES, model_type="unigram",
        character_coverage=1.0, unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, minloglevel=2,
        normalization_rule_name="identity", required_chars="abcdefghijklmnopqrstuvwxyz'",
    )  # fmt: skip
    return folder / "tiny.model"


def tiny_network(seed: int = 0) -> CtcNetwork:
    torch.manual_seed(seed)
    head = HeadConfig(
        inputs=64, width=32, blocks=3, heads=2, kernel=5, vocabulary=PIECES, phones=len(PHONES) + 1,
        token_levels=(1, 2), phone_level=2,
    )  # fmt: skip
    return CtcNetwork(BACKBONE, head).eval()


def tiny_model(folder: Path) -> Path:
    """Write a whole tiny model directory and return it."""
    checkpoint.save(folder, tiny_network(), BACKBONE, tiny_tokeniser(folder / "tokeniser"), PHONES)
    return folder
