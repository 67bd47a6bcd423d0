"""Of a large list only what was probably said goes on, whatever else is on the list."""

import dataclasses
import json
from pathlib import Path

import pytest

from pipeline.census import counting
from pipeline.config import CutConfig, RunConfig, joint
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities.catalog import write_catalog
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.reprocess.touched import Touching
from pipeline.retrieval.catalog import build_blocks, build_sound, build_spelling, open_blocks
from pipeline.retrieval.ranked import ALONE, FEATURES, Ranked, read_weights, size_class
from pipeline.retrieval.shortlist import Shortlister, build_shortlister
from pipeline.types.entity import Entity, EntityList
from tests.support.large_lists import OTHERS, SMALL, TOKENS, heard, listed


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


def shortlister(pronouncer: Pronouncer, cut: CutConfig = SMALL) -> Shortlister:
    return build_shortlister(dataclasses.replace(joint(), cut=cut), pronouncer, TOKENS)


def names(found: EntityList) -> list[str]:
    return [one.text for one in found.entities]


def test_each_strategy_counts_what_it_finds(pronouncer: Pronouncer) -> None:
    with counting() as census:
        shortlister(pronouncer).shortlist(heard(), listed("nilsson", *OTHERS))
    assert {name: facts.get("max") for name, facts in census.facts().items()} == {
        "listed": 7, "phonetic": None, "ranked": 3, "shortlist": 3,
    }  # fmt: skip


def test_what_was_said_is_found_and_what_only_could_be_is_not(pronouncer: Pronouncer) -> None:
    ranked = shortlister(pronouncer).shortlist(heard(), listed("nilsson", *OTHERS))
    plausible = shortlister(pronouncer, dataclasses.replace(SMALL, above=100)).shortlist(
        heard(), listed("nilsson", *OTHERS)
    )
    assert ranked.strategies_of("nilsson") == ("ranked",)
    assert plausible.strategies_of("nilsson") == ("phonetic",)
    assert set(names(ranked.entities)) < set(names(plausible.entities))


def test_each_is_found_as_if_it_were_alone(pronouncer: Pronouncer) -> None:
    every = listed("nilsson", *OTHERS)
    sized = shortlister(pronouncer).sized(len(every))
    alone = [name for name in names(every) if len(sized.shortlist(heard(), listed(name)).entities)]
    assert names(shortlister(pronouncer).shortlist(heard(), every).entities) == alone


def test_a_larger_list_asks_for_more(pronouncer: Pronouncer) -> None:
    rising = shortlister(pronouncer, dataclasses.replace(SMALL, bound=-14.0, per_doubling=0.9))
    sizes = [len(rising.sized(1 << k).shortlist(heard(), listed("nilsson", *OTHERS)).entities) for k in (3, 18, 28)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    assert [size_class(size) for size in (0, 1, 5_792, 5_793, 1_000_000)] == [0, 0, 12, 13, 20]


def test_phones_and_letters_count_where_they_lie_together(pronouncer: Pronouncer) -> None:
    one = Ranked.build(dataclasses.replace(joint(), cut=SMALL), pronouncer, TOKENS)
    nilsson = listed("nilsson")
    found, together = one.measured(heard(), nilsson)
    apart = one.measured(heard({0: "nilsson", 4: "we met"}), nilsson)[1]
    assert found.tolist() == [0]
    assert together[0, : len(ALONE)].tolist() == pytest.approx(apart[0, : len(ALONE)].tolist())
    assert together @ one.weights > apart @ one.weights + 1.0


def test_weights_from_before_say_nothing_of_places(tmp_path: Path, pronouncer: Pronouncer) -> None:
    (tmp_path / "cut.json").write_text(json.dumps({"weights": dict.fromkeys(ALONE, 0.0) | {"cost": -1.0}}))
    cut = dataclasses.replace(SMALL, weights=str(tmp_path / "cut.json"))
    assert read_weights(Path(cut.weights)) == (0.0, -1.0, *[0.0] * (len(FEATURES) - 2))
    assert "nilsson" in names(shortlister(pronouncer, cut).shortlist(heard(), listed("nilsson", *OTHERS)).entities)


def test_small_lists_are_left_to_the_phones(pronouncer: Pronouncer) -> None:
    found = shortlister(pronouncer).shortlist(heard(), listed("met", "nilsson"))
    assert found.strategies == (("phonetic",), ("phonetic",))


def test_aliases_and_names_that_nothing_spells_or_says(pronouncer: Pronouncer) -> None:
    entities = EntityList(
        (Entity("gwrych", "Gwrych", aliases=("nilsson",)), *listed(*OTHERS).entities, Entity("—", "—"))
    )
    found = names(shortlister(pronouncer).shortlist(heard(), entities).entities)
    assert {"gwrych", "—"} <= set(found)


def test_a_long_alias_that_was_not_said_takes_nothing_away(pronouncer: Pronouncer) -> None:
    others = [Entity(name, name) for name in OTHERS]
    alias = " ".join(["there which would about little before should people"] * 6)  # many letters in few subwords
    known = Entity("nilsson", "nilsson", aliases=(alias,))
    found = shortlister(pronouncer).shortlist(heard(), EntityList((*others, known)))
    assert "nilsson" in names(found.entities)


def test_a_catalog_is_ranked_as_its_list(
    pronouncer: Pronouncer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = listed("nilsson", *OTHERS)
    catalog = write_catalog(plain, tmp_path)
    build_sound(catalog, tmp_path, 1)
    build_spelling(catalog, TOKENS)
    ours, theirs = (shortlister(pronouncer).shortlist(heard(), one) for one in (catalog, plain))
    assert (ours.entities.entities, ours.strategies) == (theirs.entities.entities, theirs.strategies)
    monkeypatch.setattr("pipeline.retrieval.ranked._MANY", 0)  # so that what does not come near is left out
    quickly = shortlister(pronouncer).shortlist(heard(), catalog)
    assert quickly.entities.entities == theirs.entities.entities
    build_blocks(catalog, TOKENS)
    opened = open_blocks(catalog, TOKENS)
    assert opened is not None
    assert not opened.entries.flags.writeable
    quickly = shortlister(pronouncer).shortlist(heard(), catalog)
    assert quickly.entities.entities == theirs.entities.entities


def test_a_change_touches_by_the_size_of_the_whole_list(pronouncer: Pronouncer) -> None:
    touching = Touching(shortlister(pronouncer))
    old = listed(*OTHERS)
    assert names(touching.touches(heard(), old, listed("nilsson", *OTHERS))) == ["nilsson"]
    assert names(touching.touches(heard(), old, listed("gandhi", *OTHERS))) == []
    grown = listed("gandhi", *OTHERS, *(f"name {word}" for word in ("one", "two", "three", "four", "five", "six")))
    assert "gandhi" in names(touching.touches(heard(), old, grown))  # another power of two: every row is done again


def test_off_it_leaves_fingerprints_as_they_were() -> None:
    on = RunConfig(cut=CutConfig())
    assert config_fingerprint(on) != config_fingerprint(RunConfig())
    assert config_fingerprint(dataclasses.replace(on, cut=dataclasses.replace(SMALL))) != config_fingerprint(on)


def test_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"weights": {"one": 1}}')
    with pytest.raises(ModelError, match=r"cut.json: no weights"):
        read_weights(tmp_path / "cut.json")
    assert Ranked.pointwise


def test_of_a_long_name_six_phones_must_be_heard_clearly(pronouncer: Pronouncer) -> None:
    """Its phones are all nearly heard; as soon as ``heard`` asks for more than that, it is out, and is told why."""
    name = Entity("x", "X", pronunciations=("M EH T N IH L S AH N",))
    near = Entity("x", "X", pronunciations=("M IH K M IH R S ER N",))
    said = {0: "we", 3: "met", 7: "x"}
    for share, entity, finds in ((0.5, name, True), (0.0, name, True), (1.0, near, True), (0.05, near, False)):
        some = shortlister(pronouncer, dataclasses.replace(SMALL, bound=-40.0, heard=share, heard_per_doubling=0.0))
        found = some.shortlist(heard(said), EntityList((entity, *listed(*OTHERS).entities)))
        assert ("x" in names(found.entities)) == finds
    assert "no five or six of its phones" in str(some.reason(heard(said), near, 30))


def test_of_a_larger_list_names_must_be_heard_more_clearly(pronouncer: Pronouncer) -> None:
    """Which follows from the size of the whole list, also for a part of it."""
    near = EntityList((Entity("x", "X", pronunciations=("M IH K M IH R S ER N",)),))
    cut = dataclasses.replace(SMALL, bound=-40.0, heard=0.6, heard_per_doubling=0.1)
    one = Ranked.build(dataclasses.replace(joint(), cut=cut), pronouncer, TOKENS)
    found = {size: one.sized(size).select(heard(), near) for size in (1 << 12, 1 << 18, 1 << 30)}
    assert [size for size, indices in found.items() if indices is not None and len(indices)] == [1 << 12]
