"""The alignment that U-WER and B-WER are read from."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.alignment import DELETION, INSERTION, MATCH, SUBSTITUTION, align

WORDS = st.lists(st.sampled_from("abcd"), max_size=9)


def operations(reference: str, hypothesis: str) -> str:
    return "".join("=SID"[step.operation] for step in align(reference.split(), hypothesis.split()))


def test_known_alignments() -> None:
    assert operations("", "") == ""
    assert operations("", "a b") == "II"
    assert operations("a b", "") == "DD"
    assert operations("a b c", "a x c") == "=S="
    assert operations("the the cat", "the cat") == "D=="  # read from the end, the diagonal is taken first
    assert operations("a b", "b c") == "D=I"  # 3 + 3 for two gaps, against 8 for two substitutions


def test_a_tie_prefers_the_diagonal_then_the_insertion() -> None:
    assert operations("a b", "x") == "DS"
    assert operations("a", "x y") == "IS"


@given(WORDS, WORDS)
def test_every_word_is_used_once_and_in_order(reference: list[str], hypothesis: list[str]) -> None:
    steps = align(reference, hypothesis)
    assert [step.reference for step in steps if step.reference is not None] == list(range(len(reference)))
    assert [step.hypothesis for step in steps if step.hypothesis is not None] == list(range(len(hypothesis)))
    for step in steps:
        if step.reference is None or step.hypothesis is None:
            assert step.operation == (INSERTION if step.reference is None else DELETION)
        else:
            same = reference[step.reference] == hypothesis[step.hypothesis]
            assert step.operation == (MATCH if same else SUBSTITUTION)


def cheapest(reference: list[str], hypothesis: list[str]) -> int:
    """The least cost, by the textbook recursion over a full table."""
    table = [[3 * (i + j) for j in range(len(hypothesis) + 1)] for i in range(len(reference) + 1)]
    for i, said in enumerate(reference, start=1):
        for j, written in enumerate(hypothesis, start=1):
            diagonal = table[i - 1][j - 1] + (0 if said == written else 4)
            table[i][j] = min(diagonal, table[i - 1][j] + 3, table[i][j - 1] + 3)
    return table[-1][-1]


@given(WORDS, WORDS)
def test_the_alignment_is_a_cheapest_one(reference: list[str], hypothesis: list[str]) -> None:
    cost = {MATCH: 0, SUBSTITUTION: 4, INSERTION: 3, DELETION: 3}
    assert sum(cost[step.operation] for step in align(reference, hypothesis)) == cheapest(reference, hypothesis)


def test_a_long_recording_aligns() -> None:
    generator = random.Random(5)
    words = [generator.choice("abcdefghij") for _ in range(3000)]
    assert sum(step.operation != MATCH for step in align(words, [*words[:1500], "x", *words[1500:]])) == 1
