"""Which entities were found, missed and falsely inserted.

Definition. Both texts are normalised (pipeline.text.normalise); the entities in each are what
pipeline.entities.matching.find_entities returns: runs of whole words, longest first, none inside another, an alias
counting as its canonical form. Per utterance and entity, with r occurrences in the reference and h in the hypothesis:
min(r, h) true positives, h - min(r, h) false positives, r - min(r, h) false negatives. This matches multisets: it asks
whether what was said was written as often as it was said, and does not depend on how an aligner breaks its ties.
Every entity of the list counts, whatever its boost weight: the weight is how it is sought, not whether it was said.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from pipeline.entities.matching import Found
from pipeline.scoring.alignment import Step


@dataclasses.dataclass(frozen=True)
class EntityMatch:
    """Canonical forms, one item per occurrence, sorted."""

    true_positives: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    false_negatives: tuple[str, ...] = ()


def match_entities(said: Sequence[Found], written: Sequence[Found]) -> EntityMatch:
    """Return what was found, written without being said, and missed (definition above)."""
    if not said and not written:
        return EntityMatch()
    reference = Counter(found.entity.text for found in said)
    hypothesis = Counter(found.entity.text for found in written)
    return EntityMatch(
        tuple(sorted((reference & hypothesis).elements())),
        tuple(sorted((hypothesis - reference).elements())),
        tuple(sorted((reference - hypothesis).elements())),
    )


@dataclasses.dataclass(frozen=True)
class Difference:
    """An entity that was missed or inserted, and the words of the other text that stand in its place."""

    found: Found
    instead: str  # "" if nothing stands there


def missed(
    said: Sequence[Found], written: Sequence[Found], steps: Sequence[Step], hypothesis: Sequence[str]
) -> list[Difference]:
    """Return the missed occurrences with the words of ``hypothesis`` that are aligned with them.

    Which occurrences of an entity count as missed, if only some are, is read from the alignment: those that share no
    word with an occurrence of the same entity in the hypothesis come first.
    """
    pairs = [(step.reference, step.hypothesis) for step in steps]
    return _unmatched(said, written, pairs, hypothesis)


def inserted(
    said: Sequence[Found], written: Sequence[Found], steps: Sequence[Step], reference: Sequence[str]
) -> list[Difference]:
    """Return the falsely inserted occurrences with the words of ``reference`` that are aligned with them."""
    pairs = [(step.hypothesis, step.reference) for step in steps]
    return _unmatched(written, said, pairs, reference)


def _unmatched(
    mine: Sequence[Found],
    other: Sequence[Found],
    pairs: Sequence[tuple[int | None, int | None]],
    words: Sequence[str],
) -> list[Difference]:
    """Return the occurrences of ``mine`` that are too many for ``other``, with the aligned words of ``other``."""
    too_many = Counter(found.entity.text for found in mine) - Counter(found.entity.text for found in other)
    homes = {(found.entity.text, at) for found in other for at in range(found.start, found.end)}
    candidates = []
    for found in mine:
        if too_many[found.entity.text]:
            span = _aligned(found, pairs)
            at_home = any((found.entity.text, at) in homes for at in span)
            candidates.append((at_home, Difference(found, " ".join(words[at] for at in span))))
    differences = []
    for _, difference in sorted(candidates, key=lambda candidate: candidate[0]):  # stable: left to right among equals
        if too_many[difference.found.entity.text]:
            too_many[difference.found.entity.text] -= 1
            differences.append(difference)
    return sorted(differences, key=lambda difference: difference.found.start)


def _aligned(found: Found, pairs: Sequence[tuple[int | None, int | None]]) -> list[int]:
    """Positions in the other text where ``found`` stands, with the extra words of that text in it and beside it.

    An aligner puts one of the words of "some a doll" on "zamadol" and calls the others insertions.
    """
    columns = [at for at, (mine, _) in enumerate(pairs) if mine is not None and found.start <= mine < found.end]
    first, last = columns[0], columns[-1]
    while first > 0 and pairs[first - 1][0] is None:
        first -= 1
    while last + 1 < len(pairs) and pairs[last + 1][0] is None:
        last += 1
    return [other for _, other in pairs[first : last + 1] if other is not None]
