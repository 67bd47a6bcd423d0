from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.runs.corpus import Corpus, id_hashes, scan_corpus
from pipeline.storage import list_parquet

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def save(path: Path, ids: list[str], **columns: list[object]) -> None:
    audio = pa.array([{"bytes": name.encode(), "path": None} for name in ids], AUDIO)
    pq.write_table(pa.table({"utterance_id": ids, "audio": audio, **columns}), path)


def scan(folder: Path, list_column: str | None = None) -> Corpus:
    return scan_corpus(list_parquet(str(folder)), list_column)


def test_the_version_is_of_rows_not_of_files(tmp_path: Path) -> None:
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    hashes = {"a": "11", "b": "22", "c": "33"}
    save(tmp_path / "one" / "x.parquet", ["a", "b", "c"], audio_sha256=["11", "22", "33"])
    for part in (["c"], ["b", "a"]):
        save(tmp_path / "two" / f"{part[0]}.parquet", part, audio_sha256=[hashes[name] for name in part])
    save(tmp_path / "other" / "x.parquet", ["a", "b", "c"], audio_sha256=["11", "22", "34"])
    one, two, other = (scan(tmp_path / name) for name in ("one", "two", "other"))
    assert one.version == two.version != other.version
    assert one.rows == two.rows == 3
    assert (one.ids == two.ids).all()


def test_without_hashes_the_footers_count(tmp_path: Path) -> None:
    for name, ids in (("one", ["a", "bb"]), ("two", ["a", "bb"])):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x.parquet", ids)
    assert scan(tmp_path / "one").version == scan(tmp_path / "two").version
    longer = pa.array([{"bytes": b"longer", "path": None}, {"bytes": b"bb", "path": None}], AUDIO)
    pq.write_table(pa.table({"utterance_id": ["a", "bb"], "audio": longer}), tmp_path / "two" / "x.parquet")
    assert scan(tmp_path / "one").version != scan(tmp_path / "two").version


def test_own_lists_count_only_where_they_are_used(tmp_path: Path) -> None:
    for name, entity in (("one", "lviv"), ("two", "kyiv")):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x.parquet", ["a"], audio_sha256=["11"], entities=[[entity]])
    assert scan(tmp_path / "one").version == scan(tmp_path / "two").version
    assert scan(tmp_path / "one", "entities").version != scan(tmp_path / "two", "entities").version


def test_what_is_known_of_the_origin_counts_and_unknown_is_not_there(tmp_path: Path) -> None:
    for name, columns in (("one", {}), ("two", {"tenant": [None]}), ("acme", {"tenant": ["acme"]})):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x.parquet", ["a"], audio_sha256=["11"], **columns)
    assert scan(tmp_path / "one").version == scan(tmp_path / "two").version != scan(tmp_path / "acme").version


def test_only_columns_of_every_file_are_read(tmp_path: Path) -> None:
    save(tmp_path / "x.parquet", ["a"], error=[None])
    save(tmp_path / "y.parquet", ["b"])
    assert scan(tmp_path).columns == ("audio", "utterance_id")


@given(st.lists(st.text(), unique=True, max_size=50))
def test_different_ids_have_different_hashes(ids: list[str]) -> None:
    assert len(set(id_hashes(ids).tolist())) == len(ids)


def test_text_may_be_encoded_in_any_way(tmp_path: Path) -> None:
    audio = pa.array([{"bytes": b"a", "path": None}], AUDIO)
    for number, ids in enumerate([pa.array(["a"]).dictionary_encode(), pa.array(["b"], pa.string_view())]):
        pq.write_table(pa.table({"utterance_id": ids, "audio": audio}), tmp_path / f"{number}.parquet")
    assert scan(tmp_path).rows == 2


def test_a_repeated_column_is_named(tmp_path: Path) -> None:
    audio = pa.array([{"bytes": b"a", "path": None}], AUDIO)
    columns = [pa.array(["a"]), pa.array(["x"]), pa.array(["y"]), audio]
    pq.write_table(pa.Table.from_arrays(columns, ["utterance_id", "text", "text", "audio"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: columns \['text'\] are there more than once"):
        scan(tmp_path)
