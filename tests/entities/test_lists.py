import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource, SharedEntities, load_entities, load_lists
from pipeline.entities.loading import build_list
from pipeline.entities.matching import find_entities
from pipeline.errors import InputError
from pipeline.storage import open_filesystem
from pipeline.types.entity import EMPTY, EntityList
from tests.support.shared_data import SHARED, needs_shared_data


def entity_list(*entries: str) -> EntityList:
    return build_list((row, {"entity": entry}) for row, entry in enumerate(entries, 1))


def texts(entities: EntityList) -> list[str]:
    return [entity.text for entity in entities.entities]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.tsv", 'a\tthe reference\t["lviv"]\t["Lviv", "kyiv", "lviv"]\nb\tno\t[]\t[]\n'),
        ("l.tsv", "a\tlviv kyiv\nb\t\n"),
        ("l.tsv", "utterance_id\tlist\na\tLviv|Kyiv\nb\t\n"),
        ("l.jsonl", '{"utterance_id": "a", "entities": ["lviv", "kyiv"]}\n{"utterance_id": "b", "entities": null}\n'),
    ],
)
def test_text_formats(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    source = load_entities(str(tmp_path / name))
    assert texts(source.of("a")) == ["kyiv", "lviv"]
    assert source.of("b") == EMPTY
    assert source.of("unknown") == EMPTY


def test_parquet_column_can_be_named(tmp_path: Path) -> None:
    path = str(tmp_path / "l.parquet")
    pq.write_table(pa.table({"utterance_id": ["a"], "entities": [["said"]], "list": [["Lviv", "🎉"]]}), path)
    assert texts(load_lists(path).of("a")) == ["said"]
    lists = load_lists(path, "list")
    assert texts(lists.of("a")) == ["lviv"]
    assert [entry.entry for entry in lists.rejected] == ["🎉"]
    with pytest.raises(InputError, match="a list column 'none'"):
        load_lists(path, "none")


def test_lists_share_their_entities() -> None:
    shared = SharedEntities()
    first, second = shared.list_of(["Lviv", "Kyiv"]), shared.list_of(["Lviv"])
    assert first.entities[1] is second.entities[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tx\na\ty\n", "row 2: utterance 'a' has a second list"),
        ("a\tx\ty\n", "line 1 has 3 tab-separated fields"),
        ('a\tref\t[]\t["x"\n', "line 1 is not JSON"),
    ],
)
def test_broken_files_are_errors(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "l.tsv").write_text(content)
    with pytest.raises(InputError) as error:
        load_entities(str(tmp_path / "l.tsv"))
    assert message in str(error.value)


def test_wrong_column_type(tmp_path: Path) -> None:
    pq.write_table(pa.table({"utterance_id": ["a"], "entities": [[1]]}), tmp_path / "l.parquet")
    with pytest.raises(InputError, match=r"column 'entities' is list<.*int64>, needed is list<string>"):
        load_lists(str(tmp_path / "l.parquet"))


def test_a_header_with_entity_is_one_list(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text("entity\ttags\nLviv\tcity\n")
    assert texts(load_entities(str(tmp_path / "l.tsv")).of("any")) == ["lviv"]


def test_corpus_list_and_own_list_join() -> None:
    source = EntitySource(corpus=entity_list("Lviv", "Kyiv"))
    assert source.of("a") is source.corpus
    assert texts(source.of("a", ["Odesa", "lviv"])) == ["kyiv", "lviv", "odesa"]
    assert source.of("a", ["Odesa", "lviv"]).version == entity_list("Lviv", "Kyiv", "Odesa").version


@pytest.mark.parametrize("kind", ["corpus", "lists", "none"])
def test_snapshot_keeps_versions(tmp_path: Path, kind: str) -> None:
    (tmp_path / "corpus").write_text("Kraków\nCOVID-19\nO'Neill\n")
    (tmp_path / "lists.jsonl").write_text(
        "\n".join(json.dumps({"utterance_id": u, "entities": e}) for u, e in [("a", ["COVID-19", "Lviv"]), ("b", [])])
    )
    path = {"corpus": str(tmp_path / "corpus"), "lists": str(tmp_path / "lists.jsonl"), "none": None}[kind]
    source = load_entities(path)
    folder = open_filesystem(str(tmp_path / "copy"))
    snapshot.save(source, folder)
    copy = snapshot.load(folder)
    assert [copy.of(u).version for u in "ab"] == [source.of(u).version for u in "ab"]
    assert copy.of("a").entities == source.of("a").entities


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in new york times square", [("new york times", 1, 4)]),
        ("new york and york", [("new york", 0, 2), ("york", 3, 4)]),
        ("york york", [("york", 0, 1), ("york", 1, 2)]),
        ("new", []),
        ("", []),
        ("covid nineteen or covid 19", [("covid nineteen", 0, 2), ("covid nineteen", 3, 5)]),
    ],
)
def test_entities_in_text(text: str, found: list[tuple[str, int, int]]) -> None:
    entities = entity_list("York", "New York", "New York Times", "COVID-19")
    assert [(one.entity.text, one.start, one.end) for one in find_entities(text.split(), entities)] == found


@needs_shared_data
@pytest.mark.parametrize(
    ("name", "column", "utterances"),
    [
        ("is21_deep_bias/test-clean-dev.biasing_100.tsv", None, 1338),
        ("adversarial_100.tsv", None, 1338),
        ("names_dev.parquet", "list", 320),
    ],
)
def test_real_lists(name: str, column: str | None, utterances: int) -> None:
    lists = load_entities(str(SHARED / name), column).lists
    assert lists is not None
    assert len(lists) == utterances
    longest = max(len(entities) for entities in lists.by_id.values())
    assert 100 <= longest <= 115  # 100 distractors and the up to 15 rare words of the utterance itself
    assert lists.rejected == ()
