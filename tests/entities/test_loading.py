import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entities.loading import build_list, load_entity_list
from pipeline.entities.spelling import MAX_CHARACTERS, spellings
from pipeline.errors import InputError, RowError, StorageError
from pipeline.types.entity import Entity


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("COVID-19", ["covid nineteen", "covid one nine", "covid 19"]),
        ("5-FU", ["five fu", "5 fu"]),
        ("Kraków", ["krakow"]),
        ("O’Neill", ["o'neill"]),
        ("AT&T", ["at and t", "at t"]),
        ("C++", ["c plus plus"]),
        ("H₂O", ["h two o", "h2o"]),
        ("🎉 Party", ["party"]),
        ("3.5 mg", ["three point five mg", "3 5 mg"]),
    ],
)
def test_spellings(entry: str, forms: list[str]) -> None:
    assert spellings(entry) == forms


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("🎉🎉", "no letter or digit"),
        ("Киев", "cannot write ('Киев')"),
        ("Kyiv Киев", "cannot write"),
        ("北京", "cannot write"),
        ("x" * 5000, "has 5000 characters"),
    ],
)
def test_what_cannot_be_spoken_has_a_reason(entry: str, reason: str) -> None:
    with pytest.raises(RowError) as error:
        spellings(entry)
    assert reason in str(error.value)


@given(st.text(max_size=MAX_CHARACTERS))
def test_any_text_is_spelled_or_refused(entry: str) -> None:
    try:
        forms = spellings(entry)
    except RowError:
        return
    assert forms
    assert all(set(form) <= set("abcdefghijklmnopqrstuvwxyz0123456789' ") and form.strip() == form for form in forms)


def test_text_file(tmp_path: Path) -> None:
    path = write(tmp_path / "list.txt", "\ufeffZelensky\r\nKraków\n\n🎉\nCOVID-19\n")
    entities = load_entity_list(path)
    assert [entity.text for entity in entities.entities] == ["covid nineteen", "krakow", "zelensky"]
    assert [entity.display_as for entity in entities.entities] == ["COVID-19", "Kraków", "Zelensky"]
    assert [(entry.row, entry.entry) for entry in entities.rejected] == [(3, ""), (4, "🎉")]


ROWS = [
    {
        "entity": "Zelenskyy",
        "aliases": ["Zelensky", "Selenskyj"],
        "pronunciations": ["z eh l eh n s k iy"],
        "weight": 2.0,
        "tags": ["person", "leader"],
    },
    {"entity": "Lviv", "aliases": [], "pronunciations": [], "weight": 1.0, "tags": []},
]
EXPECTED = (
    Entity("lviv", "Lviv"),
    Entity(
        "zelenskyy",
        "Zelenskyy",
        ("zelensky", "selenskyj"),
        ("Z EH L EH N S K IY",),
        2.0,
        ("leader", "person"),
    ),
)


def save_rows(folder: Path, suffix: str) -> str:
    path = folder / f"list{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS))
    else:
        mark = "\t" if suffix.startswith(".tsv") else ","
        lines = [mark.join(["entity", "aliases", "pronunciations", "weight", "tags", "note"])]
        lines += [mark.join([*(_cell(row[name]) for name in row), "ignored"]) for row in ROWS]
        content = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    return str(path)


def _cell(value: object) -> str:
    return "|".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".tsv.gz"])
def test_every_format_gives_the_same_list(tmp_path: Path, suffix: str) -> None:
    entities = load_entity_list(save_rows(tmp_path, suffix))
    assert entities.entities == EXPECTED
    assert entities.rejected == ()
    assert entities.version == load_entity_list(save_rows(tmp_path, ".jsonl")).version


def test_duplicates_merge_and_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "entity,aliases,weight,tags\nKrakow,,,city\nKraków,Cracow,3,poland\n")
    entities = load_entity_list(path)
    assert entities.entities == (Entity("krakow", "Kraków", ("cracow",), (), 3.0, ("city", "poland")),)
    assert [(entry.row, entry.entry) for entry in entities.merged] == [(2, "Kraków")]


@given(st.permutations(["Krakow", "Kraków", "KRAKÓW", "COVID-19", "covid 19", "Lviv"]))
def test_the_version_does_not_depend_on_the_order(entries: list[str]) -> None:
    rows = [(row, {"entity": entry, "tags": [entry[:1]]}) for row, entry in enumerate(entries, 1)]
    straight = build_list(sorted(rows, key=lambda row: str(row[1]["entity"])))
    assert build_list(rows).version == straight.version


def test_bad_fields_reject_the_row_alone(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.jsonl",
        '{"entity": "Lviv", "weight": "heavy"}\n{"entity": 7}\n{"entity": null}\n'
        '{"entity": "Kyiv", "tags": [1]}\n{"entity": "Odesa", "aliases": ["Одеса"]}\n',
    )
    entities = load_entity_list(path)
    assert [entity.text for entity in entities.entities] == ["odesa"]
    assert [entry.row for entry in entities.rejected] == [1, 2, 3, 4, 5]
    assert "weight 'heavy'" in entities.rejected[0].reason
    assert "as an alias of 'Odesa'" in entities.rejected[4].reason


def test_a_latin_alias_saves_an_entry_in_another_script(tmp_path: Path) -> None:
    entities = load_entity_list(write(tmp_path / "l.csv", "entity,aliases\nЗеленський,Zelensky\n"))
    assert entities.entities == (Entity("zelensky", "Зеленський"),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.csv", b"name,weight\nLviv,1\n", "no column 'entity'"),
        ("l.jsonl", b'{"entity": "Lviv"}\n{"entity": \n', "line 2 is not JSON"),
        ("l.jsonl", b'["Lviv"]\n', "entry 1 must be a text or an object"),
        ("l.txt", b"Lviv\nKrak\xf3w\n", "line 2 is not UTF-8"),
        ("l.txt", b"\x00\x01", "not a text file"),
        ("l.txt.gz", b"not gzip", "not a whole gzip file"),
        ("l.parquet", b"PAR1 no", "cannot be read as parquet"),
    ],
)
def test_a_broken_file_is_an_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_entity_list(str(tmp_path / name))
    assert message in str(error.value)


def test_wrong_parquet_type_and_missing_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"entity": [1, 2]}), tmp_path / "l.parquet")
    with pytest.raises(InputError, match="column 'entity' is int64, needed is string"):
        load_entity_list(str(tmp_path / "l.parquet"))
    with pytest.raises(StorageError, match="does not exist"):
        load_entity_list(str(tmp_path / "none.txt"))


@pytest.mark.parametrize("name", ["l.txt", "l.csv"])
def test_an_empty_list_is_fine(tmp_path: Path, name: str) -> None:
    entities = load_entity_list(write(tmp_path / name, ""))
    assert len(entities) == 0
    assert entities.rejected == ()
