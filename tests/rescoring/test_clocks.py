"""Phones of another model keep their clock: what they cost does not depend on the clock of the words beside them."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import GuardConfig, LexiconConfig, PhoneFusionConfig, RescoringConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.evidence import Evidence
from pipeline.rescoring.fusion import PhoneFusion
from pipeline.rescoring.lookup import LexiconLookup
from pipeline.rescoring.phone_rescoring import PhoneRescoring
from pipeline.rescoring.proposals import Proposal
from pipeline.rescoring.technique import Sounds
from pipeline.retrieval.standing import Standings
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from tests.support.inventory import CHARACTERS
from tests.support.sparse import sparsify
from tests.support.speech import hypothesis, said

PRONOUNCER = Pronouncer()
SOUNDS = Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), PRONOUNCER.knows)
PHONES = said("M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -")  # 24 frames of 40 ms
NAMES = EntityList((Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),))
CLOCKS = pytest.mark.parametrize("seconds", [0.02, 0.04, 0.08])


def beside(seconds: float) -> Emissions:
    """The phones beside a model with so many seconds per frame, which hears "zelensky" from 80 ms on."""
    frames = round(24 * 0.04 / seconds)
    log_probs = np.full((frames, len(CHARACTERS.pieces)), -6.0, np.float32)
    log_probs[:, 0] = -0.1
    for at, label in enumerate(CHARACTERS.encoder("zelensky"), start=1):
        log_probs[round(at * 0.08 / seconds), [0, label]] = -6.0, -0.1
    tokens: SparseLogProbs = sparsify(log_probs, 32)
    return dataclasses.replace(PHONES, tokens=tokens, phone_rate=seconds / 0.04)


def on(seconds: float, one: Hypothesis) -> Hypothesis:
    """A hypothesis of words four frames of 40 ms long, on another clock."""
    rate = 0.04 / seconds
    words = [
        Word(word.text, round(word.start_frame * rate), round(word.end_frame * rate), word.confidence)
        for word in one.words
    ]
    return dataclasses.replace(one, words=tuple(words))


LENS, NAMED = hypothesis("met the lens key today", -10.0), hypothesis("met zelensky today", -10.5, "zelensky")


@CLOCKS
def test_fusion_and_rescoring_cost_the_same(seconds: float) -> None:
    heard, given = beside(seconds), [on(seconds, LENS), on(seconds, NAMED)]
    fusion = PhoneFusion(PhoneFusionConfig(margin=3), SOUNDS)
    rescoring = PhoneRescoring(RescoringConfig(), SOUNDS)
    for technique in (fusion, rescoring):
        costs = [one.phone_cost for one in technique.order(given, heard, NAMES)]
        wanted = [one.phone_cost for one in technique.order([LENS, NAMED], PHONES, NAMES)]
        assert costs == pytest.approx(wanted)
        assert None not in costs


@CLOCKS
def test_a_name_that_is_looked_up_stands_at_the_same_time(seconds: float) -> None:
    work = LexiconLookup(LexiconConfig(), SOUNDS)
    best = work.correct([on(seconds, LENS)], beside(seconds), NAMES)[0]
    wanted = work.correct([LENS], PHONES, NAMES)[0]
    assert (best.text, best.phone_cost) == (wanted.text, wanted.phone_cost) == ("met zelensky today", best.phone_cost)
    times = [time * seconds for word in best.words for time in (word.start_frame, word.end_frame)]
    at = [time * 0.04 for word in wanted.words for time in (word.start_frame, word.end_frame)]
    assert times == pytest.approx(at, abs=0.08)


@CLOCKS
def test_what_is_attended_to_is_tried_at_the_same_time(seconds: float) -> None:
    work = LexiconLookup(LexiconConfig(excess=50.0), SOUNDS)
    sure = dataclasses.replace(LENS, words=tuple(word._replace(confidence=0.99) for word in LENS.words))
    attended = np.array([[0.9, 3.0, 9 * 0.04 / seconds]], np.float16)
    heard = dataclasses.replace(beside(seconds), attended=attended)
    scene = evidence().scene(on(seconds, sure), heard, NAMES)
    assert scene is not None
    first = work.propose(scene, NAMES, heard)[0]
    assert (first.text, first.first, first.last) == ("zelensky", 1, 4)


def evidence() -> Evidence:
    return Evidence(GuardConfig(), CHARACTERS, None, PRONOUNCER, SOUNDS.lists)


SOUND = ("gain", "excess_per_phone", "worst_phone", "unbiased_excess", "misheard", "rivals", "crowd", "close_crowd")


@CLOCKS
def test_the_guard_hears_the_same(seconds: float) -> None:
    work, heard = evidence(), beside(seconds)
    scene = work.scene(on(seconds, LENS), heard, NAMES)
    assert scene is not None
    span = dataclasses.replace(NAMED.entities[0], start_word=0, end_word=1)
    proposal = Proposal(1, 4, on(seconds, NAMED).words[1:2], (span,))
    ((features, _),) = work.measure(scene, [proposal], SOUND)
    own = work.scene(LENS, beside(0.04), NAMES)
    assert own is not None
    ((wanted, _),) = work.measure(own, [proposal], SOUND)
    np.testing.assert_allclose(features, wanted)


def test_where_a_spelling_ends_is_told_in_phone_frames() -> None:
    weights = [1.0] * 10
    places = Standings(PRONOUNCER, CHARACTERS)
    ends = [places.of(beside(seconds), NAMES, weights)["zelensky"].end for seconds in (0.02, 0.04, 0.08)]
    assert max(ends) - min(ends) <= 2
