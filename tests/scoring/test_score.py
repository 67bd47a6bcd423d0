"""score(): results on small literal corpora, and every edge case that must not crash or flatter."""

import json

import pytest

from pipeline import schemas
from pipeline.errors import InputError
from pipeline.scoring.bootstrap import Bootstrap
from pipeline.scoring.difference import differences
from pipeline.scoring.score import Lists, Reference, ScoreResult, Written, score
from pipeline.scoring.words import WordCounts
from pipeline.types.entity import Entity, EntityList

CITIES = EntityList((Entity("new york", "New York", tags=("city", "us")), Entity("leeds", "Leeds", tags=("city",))))


def run(
    *rows: tuple[str, str], entities: EntityList = CITIES, spoken: dict[str, frozenset[str]] | None = None
) -> ScoreResult:
    """Score (reference, hypothesis) pairs, each of half an hour."""
    references = [Reference(f"u{at}", reference, 1800.0) for at, (reference, _) in enumerate(rows)]
    written = {f"u{at}": Written(text) for at, (_, text) in enumerate(rows)}
    return score(references, written, Lists(lambda _: entities, spoken))


def test_everything_on_a_small_corpus() -> None:
    result = run(("from leeds to new york", "from leads to new york"), ("good day", "good leeds day"))
    metrics = result.metrics()
    assert result.word_counts("wer") == WordCounts(7, 1, 1, 0)
    assert result.word_counts("u_wer") == WordCounts(4, 0, 1, 0)  # leeds is not spoken in the second utterance
    assert result.word_counts("b_wer") == WordCounts(3, 1, 0, 0)
    assert metrics["wer"]["rate"] == pytest.approx(2 / 7)
    entity = metrics["entity"]
    assert [entity[name] for name in ("true_positives", "false_positives", "false_negatives")] == [1, 1, 1]
    assert [entity[name] for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert metrics["false_accepts_per_hour"] == pytest.approx(1.0)
    assert metrics["audio_hours"] == pytest.approx(1.0)
    assert (metrics["utterances"], metrics["errors"]) == (2, 0)
    assert metrics["by_tag"]["us"]["f1"] == 1.0
    assert metrics["by_tag"]["city"]["true_positives"] == 1
    assert metrics["by_entity"]["leeds"]["false_negatives"] == 1


def test_every_rate_has_its_interval_beside_it() -> None:
    metrics = run(*[("to leeds now", "to leeds now"), ("to leeds now", "to leads now")] * 10).metrics()
    for group in ("wer", "u_wer", "b_wer"):
        assert metrics[group]["low"] <= metrics[group]["rate"] <= metrics[group]["high"]
    for rate in ("precision", "recall", "f1"):
        assert metrics["entity"][f"{rate}_low"] <= metrics["entity"][rate] <= metrics["entity"][f"{rate}_high"]
    assert metrics["entity"]["recall_low"] < 0.5 < metrics["entity"]["recall_high"]
    assert {"false_accepts_per_hour_low", "false_accepts_per_hour_high"} <= set(metrics)
    json.dumps(metrics, allow_nan=False)


def test_empty_reference() -> None:
    metrics = run(("", "two words"), ("one", "one")).metrics()
    assert metrics["wer"] | {"low": 0, "high": 0} == {
        "rate": 2.0,
        "low": 0,
        "high": 0,
        "words": 1,
        "substitutions": 0,
        "insertions": 2,
        "deletions": 0,
    }
    alone = run(("", "two words")).metrics()["wer"]
    assert (alone["rate"], alone["insertions"]) == (None, 2)  # a rate over no words is undefined
    assert run(("", "")).metrics()["wer"]["rate"] is None


def test_empty_hypothesis() -> None:
    result = run(("from leeds", ""))
    assert result.word_counts("wer") == WordCounts(2, 0, 0, 2)
    assert result.utterances[0].entities.false_negatives == ("leeds",)
    assert result.metrics()["entity"]["precision"] is None
    assert result.metrics()["entity"]["f1"] == 0.0


def test_empty_list() -> None:
    metrics = run(("from leeds", "from leads"), entities=EntityList()).metrics()
    assert metrics["u_wer"]["rate"] == metrics["wer"]["rate"] == 0.5
    assert (metrics["b_wer"]["rate"], metrics["b_wer"]["words"]) == (None, 0)
    assert metrics["entity"]["f1"] is None
    assert metrics["false_accepts_per_hour"] == 0.0


def test_no_utterances() -> None:
    metrics = score([], {}).metrics()
    assert (metrics["utterances"], metrics["wer"]["rate"], metrics["audio_hours"]) == (0, None, None)


def test_repeated_words() -> None:
    result = run(("leeds leeds the the", "leeds the the the"))
    assert result.word_counts("wer") == WordCounts(4, 1, 0, 0)
    assert result.word_counts("b_wer") == WordCounts(2, 1, 0, 0)
    assert result.entity_counts() == {"true_positives": 1, "false_positives": 0, "false_negatives": 1}


def test_the_words_of_an_entity_bias_only_where_it_stands() -> None:
    """The "new" of "new york" is B, the other "new" is U."""
    result = run(("a new new york", "a old new york"))
    assert result.word_counts("u_wer") == WordCounts(2, 1, 0, 0)
    assert result.word_counts("b_wer") == WordCounts(2, 0, 0, 0)


def test_the_benchmarks_spoken_words_decide_what_is_biased() -> None:
    result = run(("from leeds", "from leads"), spoken={"u0": frozenset({"from"})})
    assert result.word_counts("b_wer") == WordCounts(1, 0, 0, 0)
    assert result.word_counts("u_wer") == WordCounts(1, 1, 0, 0)


def test_a_missing_hypothesis_is_deleted_and_an_error() -> None:
    result = score([Reference("a", "one two"), Reference("b", "three")], {"b": Written("three")})
    assert result.missing == ("a",)
    assert (result.errors, result.word_counts("wer").deletions) == (1, 2)
    assert result.table()["error"].to_pylist() == ["no hypothesis for this id", None]


def test_a_row_with_an_error_scores_as_empty() -> None:
    result = score([Reference("a", "one two")], {"a": Written("one two", error="not audio")})
    assert (result.errors, result.missing, result.word_counts("wer").deletions) == (1, (), 2)


def test_unknown_and_duplicate_ids_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="'b'"):
        score([Reference("a", "one")], {"b": Written("one")})
    with pytest.raises(InputError, match="'a' comes twice"):
        score([Reference("a", "one"), Reference("a", "two")], {})


def test_false_accepts_are_counted_over_the_audio_of_known_length_only() -> None:
    references = [Reference("a", "x", 3600.0), Reference("b", "x")]
    result = score(references, {"a": Written("leeds"), "b": Written("leeds leeds")}, Lists(lambda _: CITIES))
    assert result.metrics()["false_accepts_per_hour"] == 1.0
    assert result.metrics()["audio_hours"] == 1.0


def test_the_table_is_scores() -> None:
    table = run(("from leeds", "from leads leeds leeds")).table()
    assert table.schema.equals(schemas.SCORES)
    row = table.to_pylist()[0]
    assert (row["true_positives"], row["false_positives"], row["b_wer_insertions"]) == (["leeds"], ["leeds"], 1)


def test_the_order_of_the_references_does_not_matter() -> None:
    references = [Reference(f"u{at}", "to leeds", 10.0) for at in range(9)]
    written = {f"u{at}": Written("to leeds" if at % 2 else "to leads") for at in range(9)}
    forward, backward = score(references, written).metrics(), score(references[::-1], written).metrics()
    assert forward == backward


def test_differences_are_paired() -> None:
    """A change that is the same in every utterance is certain, however much the utterances differ."""
    rows = [("a b c d " + "x " * at, "a b c d " + "y " * at) for at in range(20)]
    worse = [(reference, hypothesis.replace("a b", "z z")) for reference, hypothesis in rows]
    change = differences(run(*rows), run(*worse))["wer"]
    assert change.change.value == pytest.approx(40 / sum(len(reference.split()) for reference, _ in rows))
    assert change.is_clear
    assert change.p_value is not None
    assert change.p_value < 0.01
    same = differences(run(*rows), run(*rows))["wer"]
    assert (same.change.low, same.change.value, same.change.high, same.p_value) == (0, 0, 0, 1.0)


def test_only_scores_of_the_same_references_are_compared() -> None:
    with pytest.raises(InputError, match="same references"):
        differences(run(("a", "a")), run(("a", "a"), ("b", "b")))
    references, written = [Reference("a", "a")], {"a": Written("a")}
    with pytest.raises(InputError, match="same bootstrap"):
        differences(score(references, written), score(references, written, bootstrap=Bootstrap(seed=1)))
