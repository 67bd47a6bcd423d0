"""Catalogs: the list as it was, from files; parts that appear whole; what is known is not made again."""

import dataclasses
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.entities import snapshot
from pipeline.entities.catalog import Catalog, is_catalog, open_catalog, write_catalog, write_part
from pipeline.entities.lists import EntitySource, load_entities
from pipeline.errors import InputError
from pipeline.storage import Location
from pipeline.types.entity import Entity, EntityList, Rejected

LIST = EntityList(
    (
        Entity("krakow", "Kraków", aliases=("cracow",), tags=("city",)),
        Entity("new york", "New York", aliases=("krakow", "ny"), pronunciations=("N UW Y AO R K",), weight=2.0),
        Entity("zurich", "Zürich"),
    ),
    rejected=(Rejected(4, "", "is empty"),),
)


def at(path: Path) -> Location:
    return storage.open_filesystem(str(path))


def test_a_catalog_is_the_list_that_it_was_made_of(tmp_path: Path) -> None:
    write_catalog(LIST, tmp_path)
    assert is_catalog(at(tmp_path))
    catalog = open_catalog(at(tmp_path))
    assert tuple(catalog.entities) == tuple(catalog.entities[:]) == LIST.entities
    assert (len(catalog), catalog.version, catalog.rejected) == (3, LIST.version, LIST.rejected)
    assert (catalog.lengths, catalog.at([2, 0])) == (LIST.lengths, LIST.at([2, 0]))
    assert dict(catalog.by_text) == dict(LIST.by_text)
    assert catalog.by_text.get("cracow") == LIST.entities[0]
    assert catalog.by_text.get("krakau") is None
    with pytest.raises(IndexError):
        catalog.entities[3]


def test_an_empty_list_is_a_catalog_too(tmp_path: Path) -> None:
    catalog = write_catalog(EntityList(), tmp_path)
    assert (len(catalog), dict(catalog.by_text), catalog.version) == (0, {}, EntityList().version)


def test_it_goes_where_a_list_goes(tmp_path: Path) -> None:
    write_catalog(LIST, tmp_path)
    assert isinstance(load_entities(str(tmp_path)).corpus, Catalog)
    with_names = load_entities(str(tmp_path), names=["Bath"]).corpus
    assert [one.text for one in with_names.entities] == ["bath", "krakow", "new york", "zurich"]
    assert dataclasses.replace(with_names.entities[2], aliases=LIST.entities[1].aliases) == LIST.entities[1]


def test_a_run_keeps_a_copy_of_its_own(tmp_path: Path) -> None:
    catalog = write_catalog(LIST, tmp_path / "catalog")
    snapshot.save(EntitySource(corpus=catalog), at(tmp_path / "lists"))
    write_catalog(EntityList(LIST.entities[:1]), tmp_path / "catalog")
    for file in catalog.names.iterdir():
        file.unlink()
    assert tuple(snapshot.load(at(tmp_path / "lists")).corpus.entities) == LIST.entities
    assert len(snapshot.load_union(at(tmp_path / "lists"))) == 3


def test_parts_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks(part: Path) -> None:
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_part(tmp_path / "part", breaks)
    assert list(tmp_path.iterdir()) == []
    write_part(tmp_path / "part", lambda part: (part / "whole").touch())
    write_part(tmp_path / "part", breaks)
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["whole"]


def test_what_is_no_whole_catalog_is_said(tmp_path: Path) -> None:
    catalog = write_catalog(LIST, tmp_path)
    (catalog.names / "digests.npy").unlink()
    with pytest.raises(InputError, match=r"no whole catalog.*rollcall index"):
        open_catalog(at(tmp_path))
