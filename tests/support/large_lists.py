"""A few names that sound alike, and an utterance that says one of them, clear in each frame."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, CutConfig
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

TOKENS = load_tokens(AcousticConfig())
SMALL = CutConfig(above=3, bound=-5.0, per_doubling=0.0)
"""Ranks lists of four names and more."""
OTHERS = ("gorbachev", "thatcher", "vancomycin", "nielson", "nelson", "met")
SAID: Mapping[int, str] = {0: "we", 3: "met", 7: "nilsson"}
"""Words by the number of their first phone."""


def listed(*names: str) -> EntityList:
    return EntityList(tuple(Entity(name, name) for name in sorted(names)))


def frames(words: Mapping[int, str] = SAID) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float16]]:
    """The subwords [T, V] of ``words``, from the phones on at which they begin, and the phones of "we met nilsson"."""
    phones = np.repeat(spoken("W IY - M EH T - N IH L S AH N -"), 2, axis=0)
    rows = np.full((len(phones), len(TOKENS.pieces)), -9.0, np.float32)
    rows[:, TOKENS.blank] = -0.01
    for phone, word in words.items():
        for at, token in enumerate(TOKENS.encoder(word), phone):
            rows[2 * at, token], rows[2 * at, TOKENS.blank] = -0.01, -9.0
    return rows, phones.astype(np.float16)


def heard(words: Mapping[int, str] = SAID) -> Emissions:
    """The first pass of ``frames``."""
    rows, phones = frames(words)
    return Emissions(sparsify(rows, 32), phones)
