"""Entity lists made for labelled speech that has none, the same for an utterance every time.

``mixed`` is what a user may have: rare words that are said, some of their sound-alikes, and many that have nothing to
do with it. ``alike`` is what is hardest: nothing on it is said, all of it sounds like something that is.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.training.adapter_data import ListConfig, ListDrawer
from pipeline.training.adapter_lists import list_drawer
from pipeline.types.entity import Entity, EntityList

MIXED = ListConfig(most_distractors=1000, only_distractors=0.1, adversarial=0.35)
"""Lists of 10 to 1,000: on some nothing is said, on some much sounds alike."""
_FILLED = ListConfig(most_distractors=0, only_distractors=0.1, adversarial=0.35)
"""What stands on a list of a given size before it is filled up with others."""
_TRIES = 20  # words drawn for each entry, as many are there already
_ALIKE = 100  # entries of a list of sound-alikes


class ListMaker:
    """Makes lists for utterances of ``texts``, which also give half of the words that are not said."""

    def __init__(self, texts: Sequence[Sequence[str]], pronouncer: Pronouncer, config: ListConfig = MIXED) -> None:
        """``texts``: words of each utterance. Raises ModelError if language model or dictionary are missing."""
        self._drawer = list_drawer(config, texts, pronouncer)
        self._first = ListDrawer(_FILLED, self._drawer.common, self._drawer.pool, self._drawer.alike)

    def mixed(self, utterance_id: str, words: Sequence[str]) -> EntityList:
        """Return a list of what is said and what is not."""
        return _list_of(self._drawer.draw(words, _generator("mixed", utterance_id)))

    def filled(self, utterance_id: str, words: Sequence[str], size: int) -> EntityList:
        """Return a list of ``size`` entries, fewer of very few texts: some of what is said, sound-alikes, others."""
        generator = _generator(f"filled {size}", utterance_id)
        chosen = dict.fromkeys(self._first.draw(words, generator)[:size])
        tries = _TRIES * size if self._drawer.pool else 0  # a few words make no list of a hundred
        while len(chosen) < size and tries > 0:
            chosen.setdefault(self._drawer.distractor(generator))
            tries -= 1
        return _list_of(list(chosen))

    def alike(self, utterance_id: str, words: Sequence[str]) -> EntityList:
        """Return at most 100 entries that sound like what is said, none of which is."""
        return _list_of(self._drawer.adversarial(words, _ALIKE, _generator("alike", utterance_id)))


def _generator(kind: str, utterance_id: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{kind}:{utterance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _list_of(texts: Sequence[str]) -> EntityList:
    return EntityList(tuple(Entity(text, text) for text in sorted(set(texts))))
