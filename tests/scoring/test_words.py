"""WER, U-WER and B-WER counts."""

import jiwer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.alignment import align
from pipeline.scoring.words import Biased, WordCounts, all_errors, minimal_errors, split_errors

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


def split(reference: str, hypothesis: str, biased: Biased) -> tuple[WordCounts, WordCounts]:
    words = hypothesis.split()
    return split_errors(words, align(reference.split(), words), biased)


def test_errors_fall_on_the_side_of_their_reference_word() -> None:
    unbiased, biased = split("the doctor gave zamadol now", "a gave samadol now", Biased(frozenset({3}), frozenset()))
    assert unbiased == WordCounts(words=4, substitutions=1, deletions=1)
    assert biased == WordCounts(words=1, substitutions=1)


def test_an_insertion_is_biased_only_if_the_word_is_spoken_somewhere() -> None:
    _, biased = split("see york", "see york york", Biased(frozenset({1}), frozenset({"york"})))
    assert biased == WordCounts(words=1, insertions=1)
    unbiased, _ = split("see york", "see york leeds", Biased(frozenset({1}), frozenset({"york"})))
    assert unbiased == WordCounts(words=1, insertions=1)


def test_jiwer_counts_with_empty_texts() -> None:
    assert minimal_errors([], []) == []
    assert minimal_errors(["", "", "a b"], ["", "x y", ""]) == [
        WordCounts(),
        WordCounts(insertions=2),
        WordCounts(words=2, deletions=2),
    ]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_wer_is_always_the_rate_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    counts = [
        all_errors(*split(reference, hypothesis, Biased()), least)
        for (reference, hypothesis), least in zip(pairs, minimal_errors(references, hypotheses), strict=True)
    ]
    output = jiwer.process_words(references, hypotheses)
    assert sum(count.errors for count in counts) == output.substitutions + output.insertions + output.deletions
    assert sum(count.words for count in counts) == sum(len(reference.split()) for reference in references)


def test_where_the_benchmark_does_not_align_with_the_fewest_errors_wer_stays_the_fewest() -> None:
    """Five gaps cost 15, four substitutions 16: the benchmark counts 5 errors where jiwer counts 4."""
    reference, hypothesis = "e d d b a", "b a a b"
    unbiased, biased = split(reference, hypothesis, Biased())
    least = minimal_errors([reference], [hypothesis])[0]
    assert (unbiased.errors, least.errors) == (5, 4)
    assert all_errors(unbiased, biased, least) == least
