"""What learning a policy begins from (pipeline/learning/prior.py), fitted on training speech; prints the table.

    python -m benchmarks.policy_prior --emissions out/emissions

Speech is LibriSpeech's train-clean-5, which nothing is judged by. Each utterance has a list of 1,000 of IS21's rare
words: those that are said in it and others, drawn by its id. Encoding it takes 12 minutes of a core.
"""

import argparse
import random

import numpy as np

from benchmarks.decoding_sets import add_arguments, base_config, encoded
from benchmarks.learning import units_of
from pipeline.config import override
from pipeline.learning.fit import by_strategy, plain_features
from pipeline.learning.loglinear import fit_levels
from pipeline.learning.prior import OF
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.policy import FEATURES
from pipeline.retrieval.strategy import LEVELS
from pipeline.tuning.evaluation import LabelledSet, load_labelled_set, with_lists
from pipeline.types.entity import Entity, EntityList

SIZE, POOL = 1000, 4000  # words of a list, and of those that lists are filled from: as test-clean-dev's
HELD = (1.0, 10.0, 300.0)
"""Ridges of fit_levels: what differs at one level only is nearly nothing, as wide levels bring 16 to 74 names here."""


def listed(corpus: LabelledSet, words: list[str]) -> LabelledSet:
    """Give every utterance a list of its rare words and others."""
    rare, pool, lists = frozenset(words), random.Random(1).sample(words, POOL), dict[str, EntityList]()
    for one in corpus.utterances:
        said = set(one.reference.text.split())
        found = said & rare
        for word in random.Random(one.reference.utterance_id).sample(pool, SIZE + 100):
            if len(found) < SIZE and word not in said:
                found.add(word)
        lists[one.reference.utterance_id] = EntityList(tuple(Entity(word, word) for word in sorted(found)))
    return with_lists(corpus, lambda name: lists[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    options = parser.parse_args()
    config = base_config(options)
    audio, emissions = encoded("librispeech_train_clean_5", options, config)
    words = sorted(set((options.data / "is21_deep_bias" / "all_rare_words.txt").read_text().split()))
    corpus = listed(load_labelled_set(str(emissions), str(audio)), words)
    units = units_of(corpus, "", Recogniser.load(override(config, {"lexical": {}}), encodes=False))
    for name, data in by_strategy(units).items():
        features = plain_features(data.units)[:, :, [FEATURES.index(one) for one in OF]]
        flat = np.zeros((LEVELS, len(OF)))
        flat[:, 0] = np.log((data.names.sum(0) + 0.5) / (len(data.units) + 1.0))
        everywhere = np.ones(data.names.shape, np.bool_)
        rows = fit_levels(features, data.names, everywhere, np.ones(len(data.units)), flat, HELD)
        print(f'    "{name}": (  # {", ".join(f"{count:g}" for count in data.names.sum(0))} names')
        for row in rows:
            print(f"        ({', '.join(f'{value:.3f}' for value in row)}),")
        print("    ),")


if __name__ == "__main__":
    main()
