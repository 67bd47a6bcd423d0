"""What holds of names and levels before anybody has reviewed: the weights that learning a policy begins from.

They are the weights of ``fit_levels`` on LibriSpeech's train-clean-5 (28 speakers, 5.3 h, none of whom anything is
judged by; the acoustic model was trained with it, so it hears it better than new speech), each utterance with a list of
1,000 of the rare words of IS21: those that are said in it and others. ``python -m benchmarks.policy_prior`` makes them.

Learning moves them by what reviewers say (pipeline.learning.fit); how often names are said at all is never taken from
here. A tenant with twice the names of all has twice the names at each level, until reviews say otherwise.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pipeline.retrieval.policy import FEATURES
from pipeline.retrieval.strategy import LEVELS

Floats = npt.NDArray[np.float64]
OF = ("one", "duration", "phones", "tokens", "unknown", "unknown_words", "background", "background_more")
_GAIN: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "phonetic": (
        (-1.804, 0.939, 0.376, 3.482, -0.369, 0.415, 0.409, -0.334),
        (-7.037, 0.887, 1.844, 9.856, 2.021, 0.734, 0.397, -0.373),
        (-8.255, 0.925, 2.389, 10.422, 1.758, 0.690, 0.425, -0.319),
        (-8.738, 0.847, 2.627, 9.374, 1.916, 0.658, 0.396, -0.347),
    ),
}
"""[LEVELS, len(OF)] by strategy. ``lexical`` has none: it says 14 names of that speech that ``phonetic`` does not."""


def expected_gain(strategy: str, names: Floats, seen: Floats) -> Floats:
    """Return [LEVELS, len(FEATURES)] weights of the names that each level brings.

    For a strategy without a prior every utterance is expected to bring what all do on average.

    names: [N, LEVELS] that reviews say of units; seen: [N, LEVELS] the weight of each unit, 0 where it was not seen
    """
    found = np.zeros((LEVELS, len(FEATURES)))
    found[:, FEATURES.index("tenant_names")] = 1.0
    if strategy in _GAIN:
        found[:, [FEATURES.index(name) for name in OF]] = _GAIN[strategy]
    else:
        found[:, 0] = np.log((names.sum(0) + 0.5) / (seen.sum(0) + 1.0))  # half a name of whom nothing is known
    return found
