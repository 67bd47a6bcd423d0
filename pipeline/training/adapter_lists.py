"""The words that training lists of the adapter and of the guard are drawn from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.config import PRONUNCIATIONS, LanguageModelConfig
from pipeline.decoding.language_model import common_words
from pipeline.lexicon.phones import ARPABET
from pipeline.lexicon.pronunciation import Pronouncer, read_dictionary
from pipeline.training.adapter_data import ListConfig, ListDrawer, SoundAlikes

COMMON = 5000
"""Most frequent words of the language model: not rare, so not on a training list unless drawn as common words."""
_COMMON_SHARE = 10
"""One of so many different words of texts is common where nothing else says which are."""
_DISTRACTORS = 30_000  # words of the pronouncing dictionary that distractors are drawn from


def list_drawer(config: ListConfig, texts: Sequence[Sequence[str]], pronouncer: Pronouncer) -> ListDrawer:
    """Return what draws lists: half of the distractors are rare words of ``texts``, half of the dictionary.

    Where there are letters in place of phones (pipeline.lexicon.letters), all words are those of ``texts``.
    """
    if pronouncer.units is ARPABET:
        common = frozenset(common_words(LanguageModelConfig().path, COMMON))
        known = set(read_dictionary(PRONUNCIATIONS / "cmudict.txt.gz"))
    else:
        counts = Counter(word for words in texts for word in words)
        common = frozenset(word for word, _ in counts.most_common(len(counts) // _COMMON_SHARE))
        known = set(counts)
    rare = sorted({word for words in texts for word in words} - common)
    dictionary = sorted(word for word in known if word.isalpha() and len(word) > 2)
    others = [word for word in dictionary if word not in common]
    generator = np.random.default_rng(0)
    drawn = [others[k] for k in generator.permutation(len(others))[:_DISTRACTORS]]
    repeats = max(1, len(drawn) // max(1, len(rare)))
    alike = SoundAlikes(sorted({*drawn, *rare, *common} - {""}), pronouncer)
    return ListDrawer(config, common, [*drawn, *(rare * repeats)], alike.of)
