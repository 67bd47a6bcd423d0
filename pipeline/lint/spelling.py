"""What the spellings alone tell: entries that cannot be used, repeat or contain one another, and common words."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.entities.loading import BAD_PRONUNCIATION
from pipeline.entities.spelling import unsaid_signs
from pipeline.entities.text_rows import COMMENT
from pipeline.lint.findings import Finding
from pipeline.types.entity import Entity, EntityList

COMMON = 5000
"""Most frequent words of the language model: what boosting itself takes for no name (BoostClassConfig.common)."""
_LOWERED = 0.5  # a weight of at most this says that the user knows that the entry is risky
_LEAST_LETTERS = 5  # of entries that are compared letter by letter; shorter ones are all alike
_INNER_SHOWN = 3  # longer entries that a finding names


def check_spelling(entities: EntityList, ranks: Mapping[str, int]) -> Iterator[Finding]:
    """Yield what is doubtful; ``ranks``: common words with their rank, 1 the most frequent."""
    yield from _unusable(entities)
    yield from _repeated(entities)
    yield from _shared(entities)
    for entity in entities.entities:
        if entity.weight == 0:
            yield Finding("off", entity.display_as)
        elif entity.text in ranks and entity.weight > _LOWERED:
            rank = ranks[entity.text]
            yield Finding("common_word", entity.display_as, f"no. {rank:,} by frequency", value=1 / rank)
        signs = unsaid_signs(entity.display_as)
        if signs:
            shown = " ".join(f"'{sign}'" for sign in signs)
            yield Finding("sign_not_said", entity.display_as, f"{shown}; it is sought as '{entity.text}'")
    yield from _contained(entities)
    yield from _one_letter_apart(entities.entities)


def _unusable(entities: EntityList) -> Iterator[Finding]:
    for one in entities.rejected:
        if one.reason == COMMENT:
            yield Finding("comment", one.entry.strip(), "", one.row or None)
            continue
        kind = "bad_pronunciation" if one.reason.startswith(BAD_PRONUNCIATION) else "unusable"
        yield Finding(kind, one.entry, one.reason.removeprefix(BAD_PRONUNCIATION), one.row or None)


def _repeated(entities: EntityList) -> Iterator[Finding]:
    for one in entities.merged:
        shown = one.reason.partition("'")[2].rpartition("'")[0]
        kind = "duplicate" if one.entry.strip() == shown else "variant"
        yield Finding(kind, one.entry, one.reason, one.row or None)


def _shared(entities: EntityList) -> Iterator[Finding]:
    owner = {entity.text: entity for entity in entities.entities}
    for entity in entities.entities:
        for alias in entity.aliases:
            other = owner.setdefault(alias, entity)
            if other is not entity:
                yield Finding("shared_spelling", entity.display_as, f"its alias '{alias}' is also '{other.display_as}'")


def _contained(entities: EntityList) -> Iterator[Finding]:
    known, inside = entities.by_text, dict[str, list[str]]()
    for entity in entities.entities:
        words = entity.text.split()
        for length in range(1, len(words)):
            for start in range(len(words) - length + 1):
                inner = known.get(" ".join(words[start : start + length]))
                if inner is not None and inner is not entity:
                    inside.setdefault(inner.display_as, []).append(entity.display_as)
    for inner_name, longer in inside.items():
        more = f" and {len(longer) - _INNER_SHOWN} more" if len(longer) > _INNER_SHOWN else ""
        named = ", ".join(f"'{name}'" for name in longer[:_INNER_SHOWN])
        yield Finding("contained", inner_name, f"in {named}{more}", value=len(longer))


def _one_letter_apart(entities: Sequence[Entity]) -> Iterator[Finding]:
    """Pairs with a letter more, less, other or swapped: both then have a common spelling with one letter removed.

    (Garbe's symmetric deletes.) Only the hashes of these spellings are kept, and equal ones are compared in full.
    """
    hashes, owners = [], []
    for index, entity in enumerate(entities):
        if len(entity.text) >= _LEAST_LETTERS:
            shorter = {entity.text[:at] + entity.text[at + 1 :] for at in range(len(entity.text))} | {entity.text}
            hashes += [hash(one) for one in shorter]
            owners += [index] * len(shorter)
    order = np.lexsort((np.array(owners, np.int64), np.array(hashes, np.int64)))
    sorted_hashes, sorted_owners = np.array(hashes, np.int64)[order], np.array(owners, np.int64)[order]
    borders = [0, *(np.flatnonzero(np.diff(sorted_hashes)) + 1).tolist(), len(order)]
    pairs = set()
    for start, stop in itertools.pairwise(borders):
        if stop - start > 1:
            group = sorted_owners[start:stop].tolist()
            pairs |= {(a, b) for at, a in enumerate(group) for b in group[at + 1 :] if a != b}
    for a, b in sorted(pairs):
        if _apart_by_one(entities[a].text, entities[b].text):
            yield Finding("near_duplicate", entities[a].display_as, f"'{entities[b].display_as}'")


def _apart_by_one(first: str, second: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours makes one of the other."""
    short, long = sorted((first, second), key=len)
    same = next((at for at, letter in enumerate(short) if letter != long[at]), len(short))
    if len(long) > len(short):
        return short[same:] == long[same + 1 :]
    swapped = short[same + 1 : same + 2] + short[same : same + 1] + short[same + 2 :]
    return short[same + 1 :] == long[same + 1 :] or swapped == long[same:]
