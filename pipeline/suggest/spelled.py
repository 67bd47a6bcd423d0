"""How a sound that recurs may be spelled: as the run wrote it, in any hypothesis, or by ear, from its phones."""

import math
from collections import defaultdict

from pipeline.lexicon.phone_index import distances_between
from pipeline.lexicon.phones import Pronunciation, phone_ids
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.suggest.doubtful import Language
from pipeline.suggest.found import Heard

_OTHER = 0.25  # of an occurrence: what a further hypothesis writes there
_BY_EAR = 0.5  # of an occurrence: what the phones are spelled like, shared out by probability
_SPELLED = 5  # spellings by ear that are tried
_FAR = 6.0  # nats by which a spelling loses whose sound has nothing of what was heard
_BROKEN = 0.2  # of its weight counts a phrase of common words: a name that was broken into them


def spellings(heard: Heard, pronouncer: Pronouncer, language: Language, count: int) -> tuple[str, ...]:
    """Return up to ``count`` spellings, the likeliest first; at least one."""
    votes: defaultdict[str, float] = defaultdict(float)
    for span in heard.spans:
        votes[span.text] += 1.0
        for other in span.others:
            votes[other] += _OTHER
    for text, probability in pronouncer.spell(heard.phones, _SPELLED):
        votes[text] += _BY_EAR * probability * len(heard.spans)
    weights = {
        text: weight * math.exp(-_FAR * _apart(text, heard.phones, pronouncer)) * _whole(text, language)
        for text, weight in votes.items()
    }
    return tuple(sorted(weights, key=lambda text: (-weights[text], text))[:count])


def _apart(text: str, phones: Pronunciation, pronouncer: Pronouncer) -> float:
    """Return how far a spelling's nearest pronunciation is from what was heard, 0 to 1 per phone."""
    said = [phone_ids(one) for one in pronouncer.pronounce(text)]
    return min(1.0, float(distances_between(phone_ids(phones), said, 1.0).min())) if said else 1.0


def _whole(text: str, language: Language) -> float:
    words = text.split()
    return _BROKEN if len(words) > 1 and language.common.issuperset(words) else 1.0
