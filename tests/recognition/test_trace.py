"""What became of a list in one utterance is told step by step."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import ShortlistConfig, joint
from pipeline.entities.lists import EntitySource
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.trace import LISTED, PROPOSED, WRITTEN, traced
from pipeline.recognition.transcribe import Transcriber
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

LIST = EntityList((Entity("nilsson", "Nilsson"), Entity("vancomycin", "Vancomycin")))


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    """The joint preset without an adapter, which needs states."""
    return Recogniser.load(dataclasses.replace(joint(), adapter=None), EntitySource(LIST), encodes=False)


def heard(
    recogniser: Recogniser, labels: str = "W IY - M EH T - N IH L S AH N -", text: str = "we met nielsen"
) -> Emissions:
    """The phones of "we met nilsson", and the subwords of what a recogniser makes of it."""
    tokens = recogniser.parts.tokens
    phones = np.repeat(spoken(labels), 2, axis=0)
    rows = np.full((len(phones), len(tokens.pieces)), -9.0, np.float32)
    rows[:, tokens.blank] = -0.01
    for at, token in enumerate(tokens.encoder(text)):
        rows[2 * at, token], rows[2 * at, tokens.blank] = -0.3, -2.0
    return Emissions(sparsify(rows, 32), phones.astype(np.float16))


def fates(transcriber: Transcriber, heard: Emissions, *asked: str) -> dict[str, tuple[str, str]]:
    found = traced(transcriber, heard, LIST, None, asked)
    return {fate.name: (fate.kept, fate.why) for fate in found.fates}


def test_each_name_has_its_way(recogniser: Recogniser) -> None:
    believes = _with_bound(recogniser, -50.0)
    one = heard(recogniser)
    found = fates(believes, one, "vancomycin", "nobody")
    assert found["Nilsson"][0] == WRITTEN
    assert found["Vancomycin"][0] == LISTED
    assert "its phones cost" in found["Vancomycin"][1]
    assert found["nobody"] == ("", "is not on the list")
    trace = traced(believes, one, LIST, None, ())
    assert (trace.steps["on the list"], trace.steps["on the shortlist"], trace.steps["written"]) == (2, 1, 1)
    assert trace.text != trace.unbiased


def test_what_the_guard_does_not_believe_says_by_how_much(recogniser: Recogniser) -> None:
    found = fates(_with_bound(recogniser, 50.0), heard(recogniser))
    assert found["Nilsson"][0] == PROPOSED
    assert "the guard asks for 50.0" in found["Nilsson"][1]


def test_what_the_search_wrote_and_the_guard_took_out_says_so(recogniser: Recogniser) -> None:
    doubting = _with_bound(recogniser, 50.0, doubts=True)
    one = heard(recogniser, "DH AH - N UW - K AE S AH L - - -", "the new castle")
    names = EntityList((Entity("new castle", "New Castle"),))
    guard = doubting.stage._guard
    assert guard is not None
    written = traced(doubting, one, names, None, ())
    assert [(fate.kept, fate.why) for fate in written.fates] == [(WRITTEN, "is written")]
    guard.doubted = 50.0
    (fate,) = traced(doubting, one, names, None, ()).fates
    assert fate.kept == PROPOSED
    assert fate.why.startswith("the search writes “new castle” without a list too, but “")
    assert "the guard asks for 50.0" in fate.why
    assert "new castle" not in doubting.hypotheses(one, names)[0][0].text


def _with_bound(recogniser: Recogniser, bound: float, doubts: bool | None = None) -> Transcriber:
    config = recogniser.parts.config
    assert config.guard is not None
    guard = dataclasses.replace(config.guard, bound=bound, doubts=doubts)
    shortlist = config.shortlist or ShortlistConfig()
    changed = dataclasses.replace(config, guard=guard, shortlist=shortlist)
    return Recogniser.load(changed, EntitySource(LIST), encodes=False).transcriber
