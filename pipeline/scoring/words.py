"""Word errors: WER over all words, U-WER over the words off the list, B-WER over the words of spoken list entities."""

import dataclasses
from collections.abc import Sequence

import jiwer

from pipeline.scoring.alignment import DELETION, INSERTION, SUBSTITUTION, Step


@dataclasses.dataclass(frozen=True)
class WordCounts:
    """Counts in words. ``words`` are reference words."""

    words: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions


@dataclasses.dataclass(frozen=True)
class Biased:
    """What of a reference belongs to the list: word positions, and the words themselves for insertions."""

    positions: frozenset[int] = frozenset()
    words: frozenset[str] = frozenset()


def split_errors(hypothesis: Sequence[str], steps: Sequence[Step], biased: Biased) -> tuple[WordCounts, WordCounts]:
    """Return (U, B): each error of an alignment counted on one side.

    As the is21_deep_bias benchmark defines them: substitutions and deletions go with the reference word, an insertion
    goes to B if the inserted word is one of the spoken list words, else to U. With entities of several words, the
    reference words are told apart by position, so that the "of" of "bank of america" biases no other "of".
    """
    tallies = [[0, 0, 0, 0], [0, 0, 0, 0]]
    for step in steps:
        if step.reference is not None:
            side = step.reference in biased.positions
            tallies[side][0] += 1
        else:
            side = step.hypothesis is not None and hypothesis[step.hypothesis] in biased.words
        if step.operation:
            tallies[side][step.operation] += 1
    return _counts(tallies[0]), _counts(tallies[1])


def _counts(tally: list[int]) -> WordCounts:
    return WordCounts(tally[0], tally[SUBSTITUTION], tally[INSERTION], tally[DELETION])


def minimal_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[WordCounts]:
    """Return jiwer's counts of each pair of normalised texts: the minimum number of errors (Levenshtein).

    An empty reference is allowed: every hypothesis word is then an insertion.
    """
    if not references:
        return []
    output = jiwer.process_words(list(references), list(hypotheses))
    counts = []
    for words, chunks in zip(output.references, output.alignments, strict=True):
        tally = {"substitute": 0, "insert": 0, "delete": 0, "equal": 0}
        for chunk in chunks:
            size = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            tally[chunk.type] += size
        counts.append(WordCounts(len(words), tally["substitute"], tally["insert"], tally["delete"]))
    return counts


def all_errors(unbiased: WordCounts, biased: WordCounts, minimal: WordCounts) -> WordCounts:
    """Return the counts of WER: the minimum (jiwer's rate), split as U + B split it.

    The benchmark's alignment weighs a substitution at 4/3 of a gap. Nearly always it is one of the alignments with the
    fewest errors, and then WER = U + B exactly. Where it is not, WER stays the minimum and jiwer's split is taken.
    """
    together = WordCounts(
        unbiased.words + biased.words,
        unbiased.substitutions + biased.substitutions,
        unbiased.insertions + biased.insertions,
        unbiased.deletions + biased.deletions,
    )
    return together if together.errors == minimal.errors else minimal
