"""Common words, as the language model counts them."""

from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.decoding.ngram import read_ngrams

_MARKS = frozenset({"<s>", "</s>", "<unk>", "<UNK>"})


def common_ranks(config: RunConfig, count: int) -> dict[str, int]:
    """Return the ``count`` most frequent words of the language model with their rank from 1; none without a model.

    Raises ModelError if the model is missing or corrupt.
    """
    if config.language_model is None:
        return {}
    arrays = read_ngrams(Path(config.language_model.path))
    order = np.argsort(-arrays.unigrams[:, 0], kind="stable")[: count + len(_MARKS)]
    words = [arrays.words[k] for k in order if arrays.words[k] not in _MARKS][:count]
    return {word: rank for rank, word in enumerate(words, start=1)}
