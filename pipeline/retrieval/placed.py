"""How a name lies among the words that the first pass writes by itself, where its spelling lies best.

    begins, ends      1 if a word begins where it does, within a frame; if one ends where it does
    through           nats, what its phones cost there from its first frame to its last one, MARGIN frames around them
                      included (Phonetic.through); at most MOST_THROUGH
    through_per_phone the same per phone, at most MOST_PER_PHONE

The costs of pipeline.retrieval.ranked are each the least anywhere in the audio: in an utterance of eight seconds the
phones of something lie well somewhere, and its letters somewhere else. Here both must lie in one place, and names are
whole words. Everything follows from the audio and the name.
"""

import numpy as np
import numpy.typing as npt

from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.sound_index import SoundIndex
from pipeline.retrieval.spelling_index import Spelled
from pipeline.types.emissions import Emissions
from pipeline.types.tokens import WORD_START, Tokens

PLACED = ("begins", "ends", "through", "through_per_phone")
"""The measurements, in the order of their columns."""
MARGIN = 2
MOST_THROUGH, MOST_PER_PHONE = 30.0, 5.0
MOST = (1.0, 1.0, MOST_THROUGH, MOST_PER_PHONE)
"""The most that each can be; none is below 0."""
_NEAR = 1  # frames between the beginnings of two paths that are the same place


def placed(
    heard: Emissions, tokens: Tokens, said: Spelled, phonetic: Phonetic, index: SoundIndex,
    pronunciations: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.float64], ...]:  # fmt: skip
    """Return PLACED, [E] each; 0 and the most for a name that no subwords spell.

    pronunciations: [E] those of ``index`` that speak for the names of ``said``. The emissions must have phones.
    """
    assert heard.phone_log_probs is not None
    spelled = said.ends >= 0
    word_begins, word_ends = _words(heard, tokens)
    begins, ends = np.zeros(len(spelled)), np.zeros(len(spelled))
    begins[spelled], ends[spelled] = word_begins[said.begins[spelled]], word_ends[said.ends[spelled]]
    first = np.floor(said.begins * heard.phone_rate).astype(np.int64) - MARGIN
    after = np.ceil((said.ends + 1) * heard.phone_rate).astype(np.int64) + MARGIN
    costs = phonetic.through(heard.phone_log_probs, index, pronunciations, first, after).astype(np.float64)
    costs[~spelled] = np.inf
    phones = index.lengths[pronunciations]
    return begins, ends, np.minimum(costs, MOST_THROUGH), np.minimum(costs / phones, MOST_PER_PHONE)


def _words(heard: Emissions, tokens: Tokens) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return [T] whether a word begins near each frame, and whether what is written after each frame begins one."""
    best = heard.tokens.ids[:, 0].astype(np.int64)
    new = (best != tokens.blank) & (np.diff(best, prepend=-1) != 0)
    first = new & np.array([piece.startswith(WORD_START) for piece in tokens.pieces])[best]
    begins = np.convolve(first, np.ones(2 * _NEAR + 1), "same") > 0
    following = np.append(np.where(new, np.arange(len(best)), len(best))[1:], len(best))  # [T] the next that is written
    following = np.minimum.accumulate(following[::-1])[::-1]
    return begins, np.append(first, True)[following]
