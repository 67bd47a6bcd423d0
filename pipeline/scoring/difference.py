"""Two systems on the same utterances: differences of their rates with paired bootstrap intervals."""

import dataclasses

import numpy as np

from pipeline.errors import InputError
from pipeline.scoring.metrics import LOWER_IS_BETTER, Rate, make_rate
from pipeline.scoring.score import ScoreResult


@dataclasses.dataclass(frozen=True)
class RateDifference:
    """``change`` is the second system's rate minus the first's, with its paired interval.

    p_value: two-sided bootstrap p-value of "no difference"; None where a rate is undefined.
    """

    first: Rate
    second: Rate
    change: Rate
    p_value: float | None

    @property
    def is_clear(self) -> bool:
        """True if the interval of the change leaves zero out."""
        low, high = self.change.low, self.change.high
        return low is not None and high is not None and (low > 0 or high < 0)


def differences(first: ScoreResult, second: ScoreResult) -> dict[str, RateDifference]:
    """Return the difference of every headline rate.

    Both must have been scored on the same references with the same bootstrap, so that resample i of the one has the
    same utterances as resample i of the other; raises InputError if not.
    """
    ids = [[utterance.utterance_id for utterance in result.utterances] for result in (first, second)]
    if ids[0] != ids[1] or first.bootstrap != second.bootstrap:
        raise InputError("two scores can be compared only on the same references with the same bootstrap.")
    return {name: _difference(first, second, name) for name in first.rates}


def _difference(first: ScoreResult, second: ScoreResult, name: str) -> RateDifference:
    rates = first.rates[name], second.rates[name]
    if rates[0].value is None or rates[1].value is None:
        return RateDifference(*rates, Rate(), None)
    replicates = second.rated[1][name] - first.rated[1][name]
    change = make_rate(rates[1].value - rates[0].value, replicates, first.bootstrap)
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return RateDifference(*rates, change, None)
    # Twice the smaller tail, with one added to both counts so that it is never 0 (Davison and Hinkley 1997, 4.2).
    tail = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    return RateDifference(*rates, change, min(1.0, 2 * (tail + 1) / (len(defined) + 1)))


def verdict(name: str, difference: RateDifference) -> str:
    """Return "better", "worse" or "no clear change" for the rate ``name``; the last if the interval holds zero."""
    change = difference.change.value
    if change is None or not difference.is_clear:
        return "no clear change"
    return "better" if (change < 0) == (name in LOWER_IS_BETTER) else "worse"
