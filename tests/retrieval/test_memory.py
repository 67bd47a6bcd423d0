"""Entities that are heard as reviewers confirmed them: found, taught, and never across tenants or off the list."""

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import MemoryConfig, RunConfig, joint, with_memory
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.catalog import write_catalog
from pipeline.errors import ConfigError, ModelError
from pipeline.lexicon.letters import LetterPronouncer, letter_units
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.memory import Memory
from pipeline.retrieval.remembered import Recall, file_name, snapshot_bytes, version_of
from pipeline.retrieval.shortlist import build_shortlister
from pipeline.text import ENGLISH
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.inventory import CHARACTERS
from tests.support.remembered import known, memory, write_memory
from tests.support.speech import said

PRONOUNCER = Pronouncer()
LENS = "M EH T - DH AH L EH N Z K IY T AH D EY"
"""Met the lens key today: so Zelensky was heard before."""
FORM = "DH AH L EH N Z K IY"
NAMES = EntityList((Entity("gorbachev", "Gorbachev"), Entity("zelensky", "Zelensky")))


def heard(tenant: str = "", labels: str = LENS) -> Emissions:
    return dataclasses.replace(said(labels), tenant=tenant)


def found(one: Memory, emissions: Emissions, entities: EntityList = NAMES) -> list[str]:
    indices = one.select(emissions, entities)
    assert indices is not None
    return [entities.entities[at].text for at in indices.tolist()]


def test_what_was_confirmed_is_found_where_it_is_heard_again(tmp_path: Path) -> None:
    one = Memory(memory(tmp_path, known("zelensky", FORM)), PRONOUNCER)
    assert found(one, heard()) == ["zelensky"]
    assert found(one, heard(labels="M EH T - M IY T AH D EY")) == []
    unsure = Memory(memory(tmp_path, known("zelensky", FORM, lower=0.2)), PRONOUNCER)
    assert found(unsure, heard()) == []
    assert (
        Memory(memory(tmp_path, known("zelensky", FORM)), PRONOUNCER).select(Emissions(heard().tokens), NAMES) is None
    )


def test_tenants_never_see_each_others(tmp_path: Path) -> None:
    one = Memory(memory(tmp_path, known("zelensky", FORM, tenant="north"), known("gorbachev", FORM)), PRONOUNCER)
    assert found(one, heard("north")) == ["zelensky"]
    assert found(one, heard("south")) == []
    assert found(one, heard()) == ["gorbachev"]
    for tenant, who in (("north", "zelensky"), ("", "gorbachev")):
        taught = one.teach(heard(tenant), NAMES.entities)
        assert [entity.text for entity in taught if FORM in entity.pronunciations] == [who]
    assert one.teach(heard("south"), NAMES.entities) is NAMES.entities


def test_what_is_not_on_the_list_is_never_found_and_aliases_are_names(tmp_path: Path) -> None:
    one = Memory(memory(tmp_path, known("zelensky", FORM)), PRONOUNCER)
    assert found(one, heard(), EntityList((Entity("gorbachev", "Gorbachev"),))) == []
    alias = EntityList((Entity("volodymyr zelensky", "Volodymyr Zelensky", aliases=("zelensky",)),))
    assert found(one, heard(), alias) == ["volodymyr zelensky"]


def test_of_a_catalog_it_finds_the_same(tmp_path: Path) -> None:
    one = Memory(memory(tmp_path / "m", known("zelensky", FORM), known("gorby", FORM)), PRONOUNCER)
    names = EntityList((Entity("gorbachev", "Gorbachev", aliases=("gorby",)), *NAMES.entities[1:]))
    catalog = write_catalog(names, tmp_path / "catalog")
    assert found(one, heard(), names) == found(one, heard(), catalog) == ["gorbachev", "zelensky"]


def test_an_entity_is_found_or_not_whatever_else_is_listed(tmp_path: Path) -> None:
    one = Memory(memory(tmp_path, known("zelensky", FORM), known("gorbachev", FORM)), PRONOUNCER)
    apart = [name for entity in NAMES.entities for name in found(one, heard(), EntityList((entity,)))]
    assert found(one, heard()) == apart == ["gorbachev", "zelensky"]


def test_confirmed_forms_are_further_pronunciations_and_teaching_twice_is_once(tmp_path: Path) -> None:
    forms = [known("zelensky", f"{FORM} {more}", lower=lower) for more, lower in (("AA", 0.3), ("OW", 0.4), ("B", 0.5))]
    one = Memory(memory(tmp_path, *forms), PRONOUNCER)
    (_, taught) = one.teach(heard(), NAMES.entities)
    own = [" ".join(phones) for phones in PRONOUNCER.entity(NAMES.entities[1])]
    assert taught.pronunciations == (own[0], f"{FORM} B", f"{FORM} OW", *own[1:])
    assert one.teach(heard(), (NAMES.entities[0], taught))[1] is taught
    assert taught.text == "zelensky"


def test_the_shortlist_says_who_found_it_and_hands_it_on_with_what_is_known(tmp_path: Path) -> None:
    config = dataclasses.replace(joint(), memory=memory(tmp_path, known("zelensky", FORM)))
    with_it = build_shortlister(config, PRONOUNCER, CHARACTERS)
    shortlist = with_it.shortlist(heard(), NAMES)
    assert "memory" in shortlist.strategies_of("zelensky")
    assert FORM in shortlist.entities.by_text["zelensky"].pronunciations
    assert shortlist.list_version == NAMES.version
    assert with_it.taught(heard(), shortlist) is shortlist
    plain = build_shortlister(joint(), PRONOUNCER, CHARACTERS).shortlist(heard(), NAMES)
    assert with_it.taught(heard(), plain).entities.entities == tuple(
        one for one in shortlist.entities.entities if one.text in plain.entities.by_text
    )


def test_off_it_is_nothing_and_its_content_names_the_run(tmp_path: Path) -> None:
    path = write_memory(tmp_path, known("zelensky", FORM))
    moved = write_memory(tmp_path / "moved", known("zelensky", FORM))
    other = write_memory(tmp_path, known("zelensky", FORM, tenant="north"))
    prints = [config_fingerprint(with_memory(joint(), one)) for one in (path, moved, other)]
    assert prints[0] == prints[1]
    assert len({*prints, config_fingerprint(joint())}) == 3
    with pytest.raises(ConfigError, match="shortlist"):
        with_memory(RunConfig(), path)


def test_a_snapshot_is_named_by_what_it_says_and_refused_if_it_says_something_else(tmp_path: Path) -> None:
    rows = [known("zelensky", FORM), known("gorbachev", FORM, tenant="north")]
    assert snapshot_bytes(rows) == snapshot_bytes(rows[::-1])
    assert file_name(version_of(rows)) == file_name(version_of(rows[::-1])) != file_name(version_of(rows[:1]))
    path = Path(write_memory(tmp_path, *rows))
    changed = pq.read_table(path).slice(1)
    pq.write_table(changed, path)
    with pytest.raises(ModelError, match="not those that were written"):
        Recall(MemoryConfig(str(path)))
    pq.write_table(pa.table({"tenant": [""]}), path)
    with pytest.raises(ModelError, match="no snapshot"):
        Recall(MemoryConfig(str(path)))
    with pytest.raises(ModelError, match="cannot be read"):
        Recall(MemoryConfig(str(tmp_path / "nowhere.parquet")))
    with pytest.raises(ConfigError, match="names no file"):
        Recall(MemoryConfig())


def test_a_model_whose_names_are_said_in_letters_has_no_memory(tmp_path: Path) -> None:
    letters = LetterPronouncer(letter_units("abc"), ENGLISH)
    with pytest.raises(ConfigError, match="kept in phones"):
        Memory(memory(tmp_path, known("zelensky", FORM)), letters)


def test_what_changed_between_two_snapshots_by_tenant(tmp_path: Path) -> None:
    before = Recall(memory(tmp_path, known("a", FORM, "n"), known("b", FORM, "n"), known("c", FORM, "s")))
    after = Recall(memory(tmp_path, known("a", FORM, "n"), known("b", FORM, "n", 0.5), known("d", FORM, "n")))
    assert after.changed(before, "n") == before.changed(after, "n") == {"b", "d"}
    assert after.changed(before, "s") == {"c"}
    assert after.changed(None, "n") == {"a", "b", "d"}
    assert after.changed(after, "n") == frozenset()
