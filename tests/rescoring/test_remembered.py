"""What sounds as it was confirmed is proposed, and moves the guard's log odds; nothing of another tenant does."""

import dataclasses
from pathlib import Path

import pytest

from pipeline.config import GuardConfig, MemoryConfig
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.evidence import Evidence
from pipeline.rescoring.proposals import Proposal, differences
from pipeline.rescoring.remembered import MemoryOdds, MemoryProposals
from pipeline.rescoring.scene import Scene
from pipeline.rescoring.technique import Sounds
from pipeline.retrieval.memory import Memory
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from pipeline.types.tokens import WORD_START, Tokens
from tests.support.remembered import known, memory
from tests.support.speech import hypothesis, said

PRONOUNCER = Pronouncer()
LETTERS = Tokens(("", WORD_START, *"abcdefghijklmnopqrstuvwxyz'"), 0, lambda text: [], lambda text, count: [])
LENS = "M M EH - T T DH AH L EH N N Z K - IY T T AH D EY EY - -"
FORM = "DH AH L EH N Z K IY"
UNBIASED = hypothesis("met the lens key today", -5.0, confidence=0.999)
SOUNDS = Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), PRONOUNCER.knows)
NAMES = EntityList((Entity("today", "today"), Entity("zelensky", "Zelensky")))


def hear(config: MemoryConfig, tenant: str = "") -> tuple[Scene, EntityList, Emissions]:
    """The scene with the list as the shortlist hands it on."""
    heard = dataclasses.replace(said(LENS), tenant=tenant)
    taught = EntityList(tuple(Memory(config, PRONOUNCER).teach(heard, NAMES.entities)))
    evidence = Evidence(GuardConfig(), LETTERS, None, PRONOUNCER, ListPronouncer(PRONOUNCER))
    scene = evidence.scene(UNBIASED, heard, taught)
    assert scene is not None
    return scene, taught, heard


def proposed(config: MemoryConfig, tenant: str = "") -> list[Proposal]:
    scene, taught, heard = hear(config, tenant)
    return MemoryProposals(config, SOUNDS).propose(scene, taught, heard)


def odds(config: MemoryConfig, proposal: Proposal, tenant: str = "") -> float:
    scene, _, _ = hear(config, tenant)
    units = [[scene.listed[span.entity]] for span in proposal.spans]
    fit = scene.aligned.fit(proposal.first, proposal.last, [one for unit in units for one in unit])
    return MemoryOdds(config).of(scene, proposal, fit)


def test_words_that_sound_as_before_are_proposed_however_sure_they_are(tmp_path: Path) -> None:
    (one,) = proposed(memory(tmp_path, known("zelensky", FORM)))
    assert (one.first, one.last, one.text) == (1, 4, "zelensky")
    assert one.spans[0].techniques == ("memory",)
    assert one.spans[0].alternative == "the lens key"
    assert proposed(memory(tmp_path, known("zelensky", "M AA B AH L OW"))) == []
    assert proposed(memory(tmp_path, known("zelensky", FORM, lower=0.1))) == [], "it was not confirmed"
    assert proposed(memory(tmp_path, known("gorbachev", FORM))) == [], "it is not on the list"


def test_nothing_of_another_tenant(tmp_path: Path) -> None:
    config = memory(tmp_path, known("zelensky", FORM, tenant="north"))
    assert len(proposed(config, "north")) == 1
    assert proposed(config, "south") == proposed(config) == []
    (one,) = proposed(config, "north")
    assert odds(config, one, "north") > 0
    assert odds(config, one, "south") == odds(config, one) == 0.0


def test_the_log_odds_move_by_how_sure_it_is_and_how_alike_it_sounds(tmp_path: Path) -> None:
    config = memory(tmp_path, known("zelensky", FORM, lower=0.5), weight=4.0)
    (one,) = proposed(config)
    assert odds(config, one) == pytest.approx(2.0)
    assert odds(memory(tmp_path, known("zelensky", FORM, lower=0.9), weight=4.0), one) == pytest.approx(3.6)
    near = odds(memory(tmp_path, known("zelensky", FORM.replace("Z", "S"), lower=0.5), weight=4.0), one)
    assert 0.5 < near < 2.0
    rejected = memory(tmp_path, known("zelensky", FORM, lower=0.01, upper=0.65), weight=4.0)
    assert odds(rejected, one) == pytest.approx(-1.4)
    assert odds(memory(tmp_path, known("zelensky", FORM, lower=0.1, upper=0.9)), one) == 0.0


def test_a_short_form_says_little(tmp_path: Path) -> None:
    moved = []
    for words, labels in (("the", "DH AH"), ("the lens", "DH AH L EH N Z"), ("lens", "L EH N Z")):
        config = memory(tmp_path, known("zelensky", labels, lower=0.5), weight=4.0)
        first, last = (2, 3) if words == "lens" else (1, 1 + len(words.split()))
        place = hypothesis("zelensky", 0.0, "zelensky")
        moved.append(odds(config, Proposal(first, last, place.words, place.entities)))
    assert moved == pytest.approx([0.0, 2.0, 1.0], abs=0.3)
    assert moved[0] == 0.0


def test_of_a_proposal_with_other_words_only_the_entity_is_held_against_what_was_heard(tmp_path: Path) -> None:
    config = memory(tmp_path, known("zelensky", FORM, lower=0.5), weight=4.0)
    scene, _, _ = hear(config)
    (longer,) = differences(UNBIASED, hypothesis("meet zelensky today", -5.5, "zelensky"))
    assert longer.text == "meet zelensky"
    met = PRONOUNCER.pronounce("met")
    fit = scene.aligned.fit(longer.first, longer.last, [met, scene.listed["zelensky"]])
    assert MemoryOdds(config).of(scene, longer, fit) == pytest.approx(2.0)
