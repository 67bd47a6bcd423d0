"""Breakdowns by length, frequency, vocabulary and speaker."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.scoring.breakdowns import Knowledge, breakdowns, by_speaker, count_words, seen
from pipeline.scoring.score import Lists, Reference, ScoreResult, Written, score
from pipeline.types.entity import Entity, EntityList

NAMES = EntityList((Entity("new york", "New York"), Entity("leeds", "Leeds"), Entity("zamadol", "Zamadol")))


def scored() -> ScoreResult:
    references = [Reference("a", "leeds new york", 1.0, "anna"), Reference("b", "zamadol now", 1.0, "ben")]
    return score(references, {"a": Written("leeds new york"), "b": Written("samadol now")}, Lists(lambda _: NAMES))


def test_entities_are_grouped_by_length_frequency_and_vocabulary() -> None:
    knowledge = Knowledge({"new", "york", "leeds"}, {"new": 500, "york": 12, "leeds": 100})
    parts = {part.name: part for part in breakdowns(scored(), None, knowledge)}
    counted = {
        name: {group.name: (group.true_positives, group.false_negatives) for group in part.groups}
        for name, part in parts.items()
    }
    assert counted == {
        "by-length": {"1 word": (1, 1), "2 words": (1, 0)},
        "by-frequency": {"seen 100 times or more": (1, 0), "seen 10 to 99 times": (1, 0), "unseen": (0, 1)},
        "by-vocabulary": {"in the vocabulary": (2, 0), "outside the vocabulary": (0, 1)},
    }
    assert all(part.before is None for part in parts.values())


def test_a_breakdown_of_one_group_says_nothing_and_is_left_out() -> None:
    assert [part.name for part in breakdowns(scored(), scored(), Knowledge(vocabulary=set()))] == ["by-length"]


def test_the_rarest_word_decides() -> None:
    assert [seen("a b", {"a": 1000, "b": count}) for count in (0, 1, 9, 10, 99, 100)] == [
        "unseen",
        "seen 1 to 9 times",
        "seen 1 to 9 times",
        "seen 10 to 99 times",
        "seen 10 to 99 times",
        "seen 100 times or more",
    ]


def test_words_are_counted_in_text_gzip_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("New York,\nnew\n")
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        file.write("New York, new")
    pq.write_table(pa.table({"utterance_id": ["a", "b"], "text": ["New York new", None]}), tmp_path / "a.parquet")
    for name in ("a.txt", "a.txt.gz", "a.parquet"):
        assert count_words(str(tmp_path / name)) == {"new": 2, "york": 1}


def test_speakers_add_up_to_the_whole() -> None:
    result = scored()
    parts = by_speaker(result)
    assert list(parts) == ["ben", "anna"]  # most errors first
    for column in ("wer", "u_wer", "b_wer"):
        assert sum(part.word_counts(column).errors for part in parts.values()) == result.word_counts(column).errors
    assert by_speaker(score([Reference("a", "x")], {})) == {}
