"""From configuration to decoder."""

from pipeline.config import RunConfig
from pipeline.decoding.beam import BeamDecoder
from pipeline.decoding.greedy import GreedyDecoder
from pipeline.decoding.interface import Decoder
from pipeline.decoding.pyctc import PyctcDecoder
from pipeline.errors import ConfigError
from pipeline.types.tokens import Tokens

DECODERS = ("rollcall", "pyctcdecode", "greedy")
"""Values of ``beam.decoder``."""


def build_decoder(config: RunConfig, tokens: Tokens) -> Decoder:
    """Load the decoder that ``config.beam.decoder`` names.

    Raises ConfigError for an unknown name or a technique that the decoder has not,
    ModelError if the language model is missing or corrupt.
    """
    if config.beam.decoder == "rollcall":
        return BeamDecoder(config, tokens)
    if config.beam.decoder == "greedy":
        return GreedyDecoder(tokens)
    if config.beam.decoder == "pyctcdecode":
        return PyctcDecoder(config, tokens)
    raise ConfigError(f"beam.decoder must be one of {list(DECODERS)}, got '{config.beam.decoder}'.")
