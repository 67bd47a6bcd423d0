"""What reviews say of levels: names that each finds first, paid once, known as far as they can be."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.entities.lists import EntitySource
from pipeline.learning.units import KNOWN, SURE, Drawn, Replay, Reviewed, Unit, reviewed, tells, unheard_of
from pipeline.retrieval.context import Context
from pipeline.retrieval.strategy import DEFAULT, LEVELS, Strategy
from pipeline.text import ENGLISH
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList

LIST = EntityList(tuple(Entity(name, name.title(), aliases=("nan",) if name == "ann" else ()) for name in
                        ("ann", "bea", "cleo", "dora")))  # fmt: skip
HEARD = Emissions(SparseLogProbs(np.zeros((1, 1), np.int16), np.zeros((1, 1), np.float16)),
                  np.zeros((1, 40), np.float16))  # fmt: skip
SCALARS: dict[str, Any] = {"utterance_id": "u", "entities": None, "speaker": "s", "tenant": None, "session": None}


class Stepwise(Strategy):
    """Finds one more of its names at every level."""

    pointwise = True

    def __init__(self, name: str, texts: tuple[str, ...], level: int = DEFAULT, deaf: bool = False) -> None:
        self.name, self._texts, self._level, self._deaf = name, texts, level, deaf  # type: ignore[misc]

    def at(self, level: int) -> "Stepwise":
        return Stepwise(self.name, self._texts, level, self._deaf)

    def can_say(self, heard: Emissions, size: int) -> bool:
        return not self._deaf

    def select(self, heard: Emissions, entities: EntityList) -> npt.NDArray[np.int32]:
        wanted = self._texts[: self._level]
        return np.array([at for at, one in enumerate(entities.entities) if one.text in wanted], np.int32)


class Silent:
    """Reads nothing."""

    def of(self, heard: Emissions) -> Context:
        return Context((1.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0,) * LEVELS)


def units(known: Reviewed, **drawn: Drawn) -> list[Unit]:
    strategies = (Stepwise("ear", ("ann", "bea", "cleo", "dora")), Stepwise("eye", ("dora", "cleo", "bea", "ann")),
                  Stepwise("deaf", ("ann",), deaf=True))  # fmt: skip
    replay = Replay(strategies, Silent(), EntitySource(LIST))  # type: ignore[arg-type]
    return list(replay.units(SCALARS, HEARD, known, drawn))


def test_of_what_was_heard_whole_every_level_is_known() -> None:
    ear, eye = units(Reviewed("r", "u", frozenset({"nan", "dora", "stranger"}), True, 0.25))
    assert ear.names == (1, 0, 0, 1), "an alias is the name; who is not on the list is nobody"
    assert ear.candidates == eye.candidates == (1, 2, 3, 4)
    assert eye.names == (1, 0, 0, 0), "ann is the ear's by default, and paid once; dora it finds only when wide"
    assert (ear.drawn, ear.at_least, ear.said, ear.weight, ear.whole) == (LEVELS, KNOWN, 2, 4.0, True)


def test_of_what_was_heard_whole_the_draws_are_kept_where_others_were_only_judged() -> None:
    known, chances = Reviewed("r", "u", frozenset({"dora"}), True, 0.5), (1.0, 1.0, 0.4, 0.2, 0.1)
    ear, eye = units(known, ear=Drawn(2, chances))
    assert (ear.drawn, ear.at_least, ear.names) == (LEVELS, chances, (0, 0, 0, 1)), "every level is known all the same"
    assert eye.at_least == KNOWN, "nobody explored with this one"
    assert unheard_of(ear) == dataclasses.replace(
        ear, drawn=0, at_least=SURE, names=(0, 0, 0, 0), whole=False, said=0, weight=1.0
    )
    assert not tells(unheard_of(ear))


def test_of_what_was_judged_in_part_only_levels_up_to_the_drawn_one_are() -> None:
    known, chances = Reviewed("r", "u", frozenset({"bea", "dora"}), False, 1.0), (1.0, 1.0, 0.4, 0.2, 0.1)
    ear, eye = units(known, ear=Drawn(2, chances))
    assert (ear.names, ear.drawn, ear.at_least, ear.said) == ((0, 1, 0, 0), 2, chances, 0)
    assert ear.candidates == (1, 2, 3, 4), "candidates follow from the audio, and are known anyway"
    assert (eye.drawn, eye.at_least) == (DEFAULT, SURE), "a run without a policy took the default level"
    assert tells(ear)
    assert not tells(eye), "what wider levels bring is never seen without exploration"
    assert tells(dataclasses.replace(eye, whole=True))


def review(**more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("entity", "correction", "probability", "error"))
    place = {"run": "r", "utterance_id": "u", "audio_sha256": "a", "start_seconds": 0.0, "end_seconds": 1.0}
    return nothing | place | {"verdict": "accepted", "whole": False} | more


def test_reviews_say_which_names_were_said() -> None:
    rows = [
        review(entity="Ann"),
        review(verdict="rejected", entity="Bea", correction="Cleo", probability=0.5),
        review(verdict="missed", correction="Dora"),
        review(audio_sha256="b", verdict="missed", correction="Dora!", whole=True),
        review(audio_sha256="c", entity="Bea"),
        review(audio_sha256="c", entity="Ann", error="conflict: somebody says otherwise"),
        review(audio_sha256="d", verdict=None, whole=True),
        review(audio_sha256="d", run="q", entity="Ann"),
    ]
    found = reviewed({"f": rows}, ENGLISH)
    assert found["a"].said == {"ann"}, "what a reviewer adds counts only where everything was heard"
    assert (found["a"].probability, found["a"].whole) == (0.5, False)
    assert (found["b"].said, found["b"].whole) == (frozenset({"dora"}), True)
    assert "c" not in found
    assert (found["d"].run, found["d"].whole, found["d"].said) == ("r", True, frozenset())
