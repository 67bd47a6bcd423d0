"""The sound of catalogs: what is found is what the plain list finds, and nothing is pronounced twice."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ShortlistConfig
from pipeline.entities.catalog import Catalog, digests_of, write_catalog
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.reprocess.touched import differing
from pipeline.retrieval.catalog import build_sound, open_sound, sound_part
from pipeline.retrieval.phonetic import Phonetic
from pipeline.types.entity import Entity, EntityList
from tests.support.speech import spoken

MET = spoken("M EH - T - Z Z EH L EH N N S K - IY T AH D EY EY - -")
NAMES = ("gorbachev", "met", "today", "zelensky", "—")


def listed(*names: str) -> EntityList:
    return EntityList(tuple(Entity(name, name) for name in sorted(names)))


@pytest.fixture(scope="module")
def phonetic() -> Phonetic:
    return Phonetic(ShortlistConfig(), Pronouncer())


def built(entities: EntityList, folder: Path) -> tuple[Catalog, list[int]]:
    """Return a catalog with its sound, and of how many entities it was told at a time."""
    catalog, told = write_catalog(entities, folder), list[int]()
    build_sound(catalog, folder, 1, told.append)
    return catalog, told


def test_a_catalog_finds_what_its_list_finds(tmp_path: Path, phonetic: Phonetic) -> None:
    plain = listed(*NAMES)
    catalog, _ = built(plain, tmp_path)
    index = open_sound(catalog)
    assert index is not None
    assert not index.phones.flags.writeable
    ours, theirs = (phonetic.matching(MET, phonetic.compile(one)) for one in (catalog, plain))
    assert ours.entities.tolist() == theirs.entities.tolist() == [1, 2, 3, 4]
    assert ours.costs.tolist() == theirs.costs.tolist()


def test_only_new_names_are_pronounced(tmp_path: Path) -> None:
    _, told = built(listed(*NAMES), tmp_path)
    assert told == [0, 5]
    catalog, told = built(listed(*NAMES, "thatcher"), tmp_path)
    assert told == [5, 1]
    assert len(open_sound(catalog).lengths) > 5  # type: ignore[union-attr]
    _, told = built(listed(*NAMES, "thatcher"), tmp_path)
    assert told == []


def test_work_that_breaks_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.retrieval.catalog._PIECE", 2)
    catalog = write_catalog(listed(*NAMES), tmp_path)
    told = list[int]()

    def breaks(more: int) -> None:
        told.append(more)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_sound(catalog, tmp_path, 1, breaks)
    assert (told, sound_part(catalog).exists()) == ([0, 2, 2], False)
    assert built(listed(*NAMES), tmp_path)[1] == [4, 1]


def test_a_catalog_is_built_to_the_same_bytes_however_it_came_about(tmp_path: Path) -> None:
    at_once, _ = built(listed(*NAMES, "thatcher"), tmp_path / "one")
    built(listed("thatcher"), tmp_path / "two")
    built(listed(*NAMES), tmp_path / "two")
    by_and_by, _ = built(listed(*NAMES, "thatcher"), tmp_path / "two")
    for one, other in zip(at_once.parts, by_and_by.parts, strict=True):
        assert one.name == other.name
        assert {file.name: file.read_bytes() for file in one.iterdir()} == {
            file.name: file.read_bytes() for file in other.iterdir()
        }


def test_what_differs_between_catalogs_is_what_differs_between_lists(tmp_path: Path) -> None:
    old, new = listed("ann", "bea", "cleo"), EntityList((Entity("ann", "ann", tags=("x",)), Entity("bea", "Béa")))
    expected = differing(old, new).entities
    assert [one.display_as for one in expected] == ["Béa", "bea", "cleo"]
    pairs = [write_catalog(one, tmp_path / one.version) for one in (old, new)]
    assert differing(*pairs).entities == differing(pairs[0], new).entities == expected
    assert np.array_equal(digests_of(pairs[0]), digests_of(old))
