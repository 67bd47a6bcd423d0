"""Lists as other tools write them: read where they can mean one thing, refused by line where they cannot."""

import json
from pathlib import Path

import pytest

from pipeline.entities.lists import load_entities
from pipeline.entities.loading import load_entity_list
from pipeline.entities.spelling import unsaid_signs
from pipeline.errors import InputError
from pipeline.types.entity import EntityList


def read(folder: Path, name: str, content: str, form: str | None = None) -> EntityList:
    (folder / name).write_text(content, encoding="utf-8")
    return load_entity_list(str(folder / name), form=form)


def texts(entities: EntityList) -> list[str]:
    return [entity.text for entity in entities.entities]


def test_a_lone_quote_in_a_tsv_takes_no_other_row(tmp_path: Path) -> None:
    content = 'entity\ttags\n"Heroes\tband\nDavid Bowie\tperson\nTony "Visconti\tperson\n"Say ""hi"""\tsong\n'
    entities = read(tmp_path, "l.tsv", content)
    assert texts(entities) == ["david bowie", "heroes", "say hi", "tony visconti"]
    assert {tag for entity in entities.entities for tag in entity.tags} == {"band", "person", "song"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('entity,tags\nLviv,city\n"Heroes,band\nDavid Bowie,person\n', 3),
        ('entity,tags\n"Heroes,band\nDavid Bowie,person\n"Low,band\n', 2),
        ('entity,tags\n"Heroes,band\nDavid Bowie",person\n', 2),
    ],
)
def test_a_quote_without_partner_in_csv_is_named_by_its_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"line {line}\b.*quote"):
        read(tmp_path, "l.csv", content)


def test_a_quoted_field_of_csv_may_span_lines_beside_the_entity(tmp_path: Path) -> None:
    entities = read(tmp_path, "l.csv", 'entity,note\n"Washington, D.C.","one\ntwo"\nLviv,\n')
    assert [entity.display_as for entity in entities.entities] == ["Lviv", "Washington, D.C."]


def test_a_row_with_too_many_fields_is_refused_alone(tmp_path: Path) -> None:
    entities = read(tmp_path, "l.csv", "entity,tags\nWashington, D.C.,city\nLviv,city,\n")
    assert texts(entities) == ["lviv"]
    assert [(one.row, "double quotes" in one.reason) for one in entities.rejected] == [(1, True)]


def test_a_column_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\['weight'\] more than once"):
        read(tmp_path, "l.csv", "entity,weight,weight\nLviv,1,2\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["London", "Paris"], {"london": 1.0, "paris": 1.0}),
        ([{"entity": "London", "weight": 2, "aliases": ["Londres"]}], {"london": 2.0}),
        ({"entities": ["London", "Paris"]}, {"london": 1.0, "paris": 1.0}),
        ({"London": 0.5, "Paris": {"weight": 3}}, {"london": 0.5, "paris": 3.0}),
        ([], {}),
    ],
)
def test_json(tmp_path: Path, value: object, expected: dict[str, float]) -> None:
    entities = read(tmp_path, "l.json", json.dumps(value, indent=1))
    assert {entity.text: entity.weight for entity in entities.entities} == expected
    assert entities.rejected == ()


@pytest.mark.parametrize("value", [{"utterance-1": ["London"]}, 5, [["London"]], [{"name": "London"}]])
def test_json_that_can_mean_several_things_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(InputError, match=r"l\.json: (key|needed|entry 1)"):
        read(tmp_path, "l.json", json.dumps(value))


def test_json_lines_of_texts_and_json_lists_per_utterance(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "l.jsonl", '"London"\n{"entity": "Paris"}\n')) == ["london", "paris"]
    (tmp_path / "u.json").write_text('[{"utterance_id": "a", "entities": ["Lviv"]}]')
    assert texts(load_entities(str(tmp_path / "u.json")).of("a")) == ["lviv"]


def test_sherpa_scores_where_every_line_has_one(tmp_path: Path) -> None:
    entities = read(tmp_path, "l.txt", "# hotwords\nHELLO WORLD :3.0\nFOO BAR :1.5\n")
    assert {entity.text: entity.weight for entity in entities.entities} == {"hello world": 2.0, "foo bar": 1.0}
    assert [(one.row, one.reason[:22]) for one in entities.rejected] == [(1, "is taken for a comment")]


MIXED = (
    "HELLO WORLD :2.0\nFOO BAR #0.35\n# a comment\nSiobhan Kavanagh\t1.5\nnvidia_NVIDIA_en vidia\n#MeToo\nLviv|Lwow\n"
    '["London"]\nWashington, D.C.\nJohn 3:16\n'
)


def test_doubtful_lines_are_refused_each_with_its_number(tmp_path: Path) -> None:
    entities = read(tmp_path, "l.txt", MIXED)
    assert [entity.display_as for entity in entities.entities] == ["John 3:16", "Washington, D.C."]
    assert [one.row for one in entities.rejected] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all("--entities-format text" in one.reason for one in entities.rejected)


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    assert len(read(tmp_path, "l.txt", MIXED, "text")) == 10
    assert texts(read(tmp_path, "l.txt", "Anna Lund, Gdynia,Lviv\n", "commas")) == ["anna lund", "gdynia", "lviv"]
    weights = {one.text: one.weight for one in read(tmp_path, "l.txt", "HELLO :3\nWORLD\n", "sherpa").entities}
    assert weights == {"hello": 2.0, "world": 1.0}
    (nemo,) = read(tmp_path, "l.txt", "nvidia_en vidia_n video\n", "nemo").entities
    assert (nemo.text, nemo.aliases) == ("nvidia", ("en vidia", "n video"))
    assert texts(read(tmp_path, "names", "entity,weight\nLviv,2\n", "csv")) == ["lviv"]


def test_nemo_is_known_by_phrases_that_spell_themselves(tmp_path: Path) -> None:
    entities = read(tmp_path, "context.txt", "nvidia_nvidia_en vidia\nGPU_gpu\n")
    assert [(one.text, one.aliases) for one in entities.entities] == [("gpu", ()), ("nvidia", ("en vidia",))]


def test_tables_and_other_formats_under_a_wrong_name_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"header of a table.*\.csv"):
        read(tmp_path, "l.txt", "entity,weight\nLviv,2\n")
    with pytest.raises(InputError, match=r"not read from \.yaml"):
        read(tmp_path, "l.yaml", "- Lviv\n")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read(tmp_path, "l.json", "Lviv\n")


def test_one_separator_for_all_lists_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("utterance_id\tentities\na\tEdith Nilsson|Eixample\nb\tAnna Lund\n")
    source = load_entities(str(tmp_path / "l.tsv"))
    assert texts(source.of("a")) == ["edith nilsson", "eixample"]
    assert texts(source.of("b")) == ["anna lund"]


@pytest.mark.parametrize(
    ("entry", "signs"),
    [
        ("$100", "$"),
        ("C#", "#"),
        ("C++", ""),
        ("AT&T", ""),
        ("O’Neill´s", ""),
        ("5 €", "€"),
        ("AC/DC", ""),
        ("50%", ""),
    ],
)
def test_signs_that_nobody_says(entry: str, signs: str) -> None:
    assert unsaid_signs(entry) == signs
