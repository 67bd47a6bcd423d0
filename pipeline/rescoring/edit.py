"""Putting other words in the place of words of a hypothesis."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipeline.types.hypothesis import EntitySpan, Hypothesis, Word


@dataclasses.dataclass(frozen=True)
class Edit:
    """``texts`` in the place of words [start, end), over half-open ``frames``.

    span: the entity that the texts are, if they are one; its place is filled in
    """

    start: int
    end: int
    frames: tuple[int, int]
    texts: tuple[str, ...]
    span: EntitySpan | None = None


def apply_edits(hypothesis: Hypothesis, edits: Sequence[Edit]) -> Hypothesis:
    """Return the hypothesis with ``edits``, which must not overlap and are in order, and its other entities moved.

    Entities whose words an edit replaces are dropped. Scores are left as they are.
    """
    words: list[Word] = []
    spans: list[EntitySpan] = []
    moved: dict[int, int] = {}  # old word index -> new
    at = 0
    for edit in (*edits, None):
        stop = edit.start if edit else len(hypothesis.words)
        moved |= {old: len(words) + old - at for old in range(at, stop)}
        words += hypothesis.words[at:stop]
        if edit:
            if edit.span:
                end = len(words) + len(edit.texts)
                spans.append(dataclasses.replace(edit.span, start_word=len(words), end_word=end))
            words += edited_words(hypothesis, edit)
            at = edit.end
    kept = [_moved(span, moved) for span in hypothesis.entities if span.start_word in moved]
    entities = tuple(sorted([*kept, *spans], key=lambda span: span.start_word))
    return dataclasses.replace(hypothesis, words=tuple(words), entities=entities)


def edited_words(hypothesis: Hypothesis, edit: Edit) -> list[Word]:
    """Return the words that an edit puts in, with their times; they are as sure as the least sure of those replaced."""
    confidence = min(word.confidence for word in hypothesis.words[edit.start : edit.end])
    return _spread(edit.texts, edit.frames, confidence)


def _moved(span: EntitySpan, moved: dict[int, int]) -> EntitySpan:
    start = moved[span.start_word]
    return dataclasses.replace(span, start_word=start, end_word=start + span.end_word - span.start_word)


def _spread(texts: Sequence[str], frames: tuple[int, int], confidence: float) -> list[Word]:
    """Give words their frames in proportion to their letters."""
    ends = np.cumsum([len(text) for text in texts]) / max(1, sum(map(len, texts)))
    borders = [frames[0], *(frames[0] + round(float(end) * (frames[1] - frames[0])) for end in ends)]
    return [Word(text, borders[k], borders[k + 1], confidence) for k, text in enumerate(texts)]
