"""Places where biasing would write something else than the unbiased search, each to be believed or not by itself."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word


@dataclasses.dataclass(frozen=True)
class Place:
    """Words [first, last) of the unbiased hypothesis."""

    first: int
    last: int

    def touches(self, other: "Place") -> bool:
        """Whether no word of the unbiased hypothesis is left between the two: then only one of them can be sure."""
        return self.first <= other.last and other.first <= self.last


@dataclasses.dataclass(frozen=True)
class Proposal(Place):
    """``words`` in the place of words [first, last) of the unbiased hypothesis.

    spans: the entities in it, at least one; their word indices count from the first of ``words``
    from_search: whether the beam search wrote it; otherwise a technique proposed it
    """

    words: tuple[Word, ...]
    spans: tuple[EntitySpan, ...]
    from_search: bool = True

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def differences(unbiased: Hypothesis, biased: Hypothesis) -> list[Proposal]:
    """Return the regions of ``biased`` that hold an entity and differ from ``unbiased``, grown to whole entities.

    >>> import pipeline.types.hypothesis as i
    >>> def said(text, *spans):
    ...     return i.Hypothesis(tuple(i.Word(w, 0, 1, 1.0) for w in text.split()), 0.0, 0.0, 0.0, 0.0, spans)
    >>> (one,) = differences(said("a doll for them"), said("zamadol for them", i.EntitySpan("zamadol", 0, 1)))
    >>> (one.first, one.last, one.text)
    (0, 2, 'zamadol')
    """
    ours, theirs = ([word.text for word in one.words] for one in (unbiased, biased))
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    regions = [_grown(opcode[1:], biased.entities) for opcode in matcher.get_opcodes() if opcode[0] != "equal"]
    found = []
    for first, last, start, end in _merged(regions):
        spans = [_moved(span, start) for span in biased.entities if start <= span.start_word and span.end_word <= end]
        if spans and first >= 0 and last <= len(ours):
            found.append(Proposal(first, last, biased.words[start:end], tuple(spans)))
    return found


def _grown(region: tuple[int, int, int, int], spans: Iterable[EntitySpan]) -> tuple[int, int, int, int]:
    """The region with every entity that it cuts taken in whole; the words beside a region are equal on both sides."""
    first, last, start, end = region
    for span in spans:
        if span.start_word < end and span.end_word > start:
            left, right = max(0, start - span.start_word), max(0, span.end_word - end)
            first, start, last, end = first - left, start - left, last + right, end + right
    return first, last, start, end


def _merged(regions: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Regions that overlap or touch become one."""
    merged: list[tuple[int, int, int, int]] = []
    for region in regions:
        if merged and region[2] < merged[-1][3]:
            before = merged.pop()
            lows, highs = zip(before[::2], region[::2], strict=True), zip(before[1::2], region[1::2], strict=True)
            (first, start), (last, end) = map(min, lows), map(max, highs)
            region = (first, last, start, end)
        merged.append(region)
    return merged


def _moved(span: EntitySpan, start: int) -> EntitySpan:
    return dataclasses.replace(span, start_word=span.start_word - start, end_word=span.end_word - start)


def apply_proposals(unbiased: Hypothesis, chosen: Sequence[Proposal], entities: Sequence[EntitySpan]) -> Hypothesis:
    """Return ``unbiased``, whose own entities are ``entities``, with ``chosen`` put in; they must not overlap."""
    words: list[Word] = []
    spans: list[EntitySpan] = []
    at = 0
    for one in [*sorted(chosen, key=lambda one: (one.first, one.last)), None]:
        stop = one.first if one else len(unbiased.words)
        shift = len(words) - at
        spans += [_moved(span, -shift) for span in entities if at <= span.start_word and span.end_word <= stop]
        words += unbiased.words[at:stop]
        if one:
            spans += [_moved(span, -len(words)) for span in one.spans]
            words += one.words
            at = one.last
    return dataclasses.replace(unbiased, words=tuple(words), entities=tuple(spans))
