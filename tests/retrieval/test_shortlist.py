"""The union of strategies, and who found what."""

import numpy as np
import numpy.typing as npt

from pipeline.config import PARTS
from pipeline.retrieval.shortlist import STRATEGIES, WHOLE_LISTS, Shortlister
from pipeline.retrieval.strategy import Strategy
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EMPTY, Entity, EntityList

HEARD = Emissions(SparseLogProbs(np.zeros((1, 1), np.int16), np.zeros((1, 1), np.float16)))
THREE = EntityList(tuple(Entity(name, name.title()) for name in ("ann", "bea", "cleo")))


class Named(Strategy):
    """Finds the entities that it is told; ``None`` where it cannot say."""

    pointwise = True

    def __init__(self, name: str, texts: tuple[str, ...] | None) -> None:
        self.name, self._texts = name, texts  # type: ignore[misc]

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32] | None:
        if self._texts is None:
            return None
        return np.array([at for at, one in enumerate(entities.entities) if one.text in self._texts], np.int32)


class FirstOfList(Named):
    """Whether it finds an entity depends on the others."""

    pointwise = False

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32]:
        return np.zeros(1, np.int32)


def test_what_any_strategy_finds_goes_on_in_the_order_of_the_list_with_its_finders() -> None:
    found = Shortlister([Named("ear", ("cleo", "ann")), Named("eye", ("cleo",))]).shortlist(HEARD, THREE)
    assert [one.text for one in found.entities.entities] == ["ann", "cleo"]
    assert found.strategies == (("ear",), ("ear", "eye"))
    assert found.strategies_of("cleo") == ("ear", "eye")
    assert found.list_version == THREE.version


def test_a_strategy_that_cannot_say_leaves_it_to_the_others() -> None:
    found = Shortlister([Named("deaf", None), Named("eye", ("bea",))]).shortlist(HEARD, THREE)
    assert ([one.text for one in found.entities.entities], found.strategies) == (["bea"], (("eye",),))


def test_where_none_can_say_the_whole_list_goes_on() -> None:
    for shortlister in (WHOLE_LISTS, Shortlister([Named("deaf", None)])):
        found = shortlister.shortlist(HEARD, THREE)
        assert found.entities is THREE
        assert found.strategies == ((), (), ())
    assert Shortlister([Named("ear", ())]).shortlist(HEARD, THREE).entities is EMPTY
    assert Shortlister([Named("ear", ("ann",))]).shortlist(HEARD, EMPTY).entities is EMPTY


def test_all_found_is_the_list_itself_as_what_is_compiled_of_it_is_kept_by_object() -> None:
    assert Shortlister([Named("ear", ("ann", "bea", "cleo"))]).shortlist(HEARD, THREE).entities is THREE


def test_one_strategy_that_looks_at_the_list_is_enough_for_it_to_matter() -> None:
    assert Shortlister([Named("ear", ())]).pointwise
    assert WHOLE_LISTS.pointwise
    assert not Shortlister([Named("ear", ()), FirstOfList("first", None)]).pointwise


def test_every_strategy_says_what_it_is() -> None:
    names = [one.name for one in STRATEGIES]
    assert len(set(names)) == len(names)
    assert all(one.part in PARTS and isinstance(one.pointwise, bool) for one in STRATEGIES)
