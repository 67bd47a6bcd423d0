"""Reading references, transcripts, other systems' output and lists."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.errors import RollcallError
from pipeline.scoring.inputs import load_scoring_set, read_lists, read_references, read_written, run_folder_of
from pipeline.scoring.score import NO_LISTS
from pipeline.types.entity import Entity, EntityList


def parquet(path: Path, **columns: list[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


def text(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_references_from_parquet_are_normalised_and_rows_without_text_are_named(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet", utterance_id=["a", "b"], text=["Zürich’s  Café!", None], duration_seconds=[1.5, 2]
    )
    references, unscored = read_references(path)
    assert [(one.text, one.duration_seconds) for one in references] == [("zurich's cafe", 1.5)]
    assert unscored == ["b"]


@pytest.mark.parametrize("words", ["привет мир", "the москва river", "你好 世界", "the ３ μ"])
def test_letters_that_would_vanish_are_an_error_and_not_zero_words(tmp_path: Path, words: str) -> None:
    path = text(tmp_path / "a.tsv", f"a\tone\nb\t{words}\n")
    with pytest.raises(RollcallError, match="1 texts have letters that are not scored yet: 'b'"):
        read_references(path)
    written = read_written(path)  # another system's output is scored without that row, which says why
    assert written["a"].error is None
    assert (written["b"].text, "has letters that are not scored" in str(written["b"].error)) == ("", True)
    only = text(tmp_path / "only.tsv", f"a\t\nb\t{words}\n")
    with pytest.raises(RollcallError, match="1 texts have letters"):
        read_written(only)


def test_tsv_with_header_and_an_id_without_text(tmp_path: Path) -> None:
    path = text(tmp_path / "a.tsv", "\ufeffutterance_id\ttext\na\tOne two\r\nb\n\nc\t\n")
    assert {name: one.text for name, one in read_written(path).items()} == {"a": "one two", "b": "", "c": ""}


def test_a_run_directory_and_an_output_folder_with_one_run(tmp_path: Path) -> None:
    parquet(
        tmp_path / "out/1f3a/transcripts/0.parquet", utterance_id=["a"], text=["one"], error=pa.nulls(1, pa.string())
    )
    parquet(
        tmp_path / "out/1f3a/transcripts/1.parquet", utterance_id=["b"], text=pa.nulls(1, pa.string()), error=["silent"]
    )
    for path in ("out", "out/1f3a", "out/1f3a/transcripts"):
        written = read_written(str(tmp_path / path))
        assert {name: (one.text, one.error) for name, one in written.items()} == {
            "a": ("one", None),
            "b": ("", "silent"),
        }


def test_an_output_folder_with_two_runs_is_refused(tmp_path: Path) -> None:
    for name in ("1f3a", "2b4c"):
        parquet(tmp_path / name / "transcripts/0.parquet", utterance_id=["a"], text=["one"])
    with pytest.raises(RollcallError, match=r"2 runs \['1f3a', '2b4c'\]"):
        read_written(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": ["a"], "text": ["one"]}, "column 'utterance_id' is missing"),
        ({"utterance_id": ["a"]}, "column 'text' is missing"),
        ({"utterance_id": ["a"], "text": [3]}, "column 'text' is int64, needed is string"),
        ({"utterance_id": ["a", None], "text": ["one", "two"]}, "row 2 has no utterance_id"),
        ({"utterance_id": ["a", "a"], "text": ["one", "two"]}, "'a' comes twice"),
    ],
)
def test_bad_transcripts_are_refused_with_file_and_column(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = parquet(tmp_path / "bad.parquet", **content)
    with pytest.raises(RollcallError, match=message) as raised:
        read_written(path)
    assert "bad.parquet" in str(raised.value)


def test_missing_corrupt_and_textless_files_are_refused(tmp_path: Path) -> None:
    for name in ("none.parquet", "none.tsv"):
        with pytest.raises(RollcallError, match=name):
            read_written(str(tmp_path / name))
    broken = text(tmp_path / "broken.parquet", "PAR1 but not really")
    with pytest.raises(RollcallError, match=r"broken\.parquet"):
        read_references(broken)
    (tmp_path / "latin.tsv").write_bytes("a\tZ\xfcrich\n".encode("latin-1"))
    with pytest.raises(RollcallError, match="not UTF-8"):
        read_written(str(tmp_path / "latin.tsv"))
    with pytest.raises(RollcallError, match="no row has a reference text"):
        read_references(parquet(tmp_path / "t.parquet", utterance_id=["a"], text=pa.nulls(1, pa.string())))
    with pytest.raises(RollcallError, match="line 1 has no id"):
        read_written(text(tmp_path / "noid.tsv", "\tone\n"))


def test_one_list_for_all(tmp_path: Path) -> None:
    lists = read_lists(text(tmp_path / "names.txt", "New York\nŁódź\n"), "unused.tsv")
    assert [entity.text for entity in lists.of("any").entities] == ["lodz", "new york"]
    assert lists.spoken is None


def test_the_benchmarks_lists_and_its_spoken_words(tmp_path: Path) -> None:
    row = ["u1", "to leeds", json.dumps(["leeds"]), json.dumps(["leeds", "york"])]
    path = text(tmp_path / "biasing.tsv", "\t".join(row) + "\n")
    for lists in (read_lists(path, "unused"), read_lists(None, path)):
        assert [entity.text for entity in lists.of("u1").entities] == ["leeds", "york"]
        assert lists.spoken == {"u1": frozenset({"leeds"})}


def test_a_parquet_with_spoken_entities_and_lists_is_read_for_its_lists(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "names.parquet",
        utterance_id=["u1"],
        text=["to leeds"],
        entities=[["leeds"]],
        list=[["leeds", "york"]],
    )
    assert len(read_lists(path, "unused").of("u1")) == 2
    assert len(read_lists(path, "unused", "entities").of("u1")) == 1
    assert len(read_lists(None, path).of("u1")) == 2


def test_hypotheses_of_utterances_without_a_reference_text_are_set_aside(tmp_path: Path) -> None:
    reference = parquet(tmp_path / "r.parquet", utterance_id=["a", "b"], text=["one", None])
    corpus = load_scoring_set(reference)
    assert corpus.unscored == ("b",)
    assert corpus.score(text(tmp_path / "h.tsv", "a\tone\nb\tsomething\n")).word_counts("wer").errors == 0


def test_without_other_lists_those_of_the_run_apply(tmp_path: Path) -> None:
    parquet(tmp_path / "run/transcripts/0.parquet", utterance_id=["a"], text=["one"])
    names = EntityList((Entity("leeds", "Leeds"),))
    snapshot.save(EntitySource(corpus=names), storage.open_filesystem(str(tmp_path / "run/lists")))
    reference = text(tmp_path / "r.tsv", "a\tone\n")
    run = run_folder_of(str(tmp_path / "run"))
    assert run is not None
    assert run.root.path == str(tmp_path / "run")
    assert load_scoring_set(reference, run=run).lists.of("a").entities == names.entities
    assert load_scoring_set(reference).lists is NO_LISTS


def test_shards_carry_their_lists_and_columns_of_nulls_carry_none(tmp_path: Path) -> None:
    nulls = pa.nulls(1, pa.list_(pa.string()))
    parquet(tmp_path / "with/0.parquet", utterance_id=["a"], text=["to leeds"], entities=[["Leeds", ""]])
    parquet(tmp_path / "with/1.parquet", utterance_id=["b"], text=["to york"], entities=nulls)
    parquet(tmp_path / "without/0.parquet", utterance_id=["a"], text=["to leeds"], entities=nulls)
    corpus = load_scoring_set(str(tmp_path / "with"))
    assert [entity.text for entity in corpus.lists.of("a").entities] == ["leeds"]
    assert corpus.facts() == {"unscored": 0, "without_list": 1, "list_entries_rejected": 1}
    assert corpus.listless == ["b"]
    assert load_scoring_set(str(tmp_path / "without")).lists is NO_LISTS
    other = load_scoring_set(str(tmp_path / "without"), str(tmp_path / "with"))
    assert [entity.text for entity in other.lists.of("a").entities] == ["leeds"]
