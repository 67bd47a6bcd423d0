"""What comes on the shortlist, and that nothing else decides it."""

import dataclasses
import itertools

import numpy as np
import pytest

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, RunConfig, ShortlistConfig, joint, without
from pipeline.errors import ConfigError
from pipeline.lexicon.phones import PHONE_IDS, substitution_costs
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.shortlist import Shortlister, build_shortlister
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EMPTY, Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

MET = spoken("M EH - T - Z Z EH L EH N N S K - IY T AH D EY EY - -")
SAID = "Z EH L EH N S K IY"


@pytest.fixture(scope="module")
def pronouncer() -> Pronouncer:
    return Pronouncer()


@pytest.fixture(scope="module")
def phonetic(pronouncer: Pronouncer) -> Phonetic:
    return Phonetic(ShortlistConfig(), pronouncer)


def listed(**pronunciations: str) -> EntityList:
    entities = [Entity(text, text.title(), pronunciations=(said,)) for text, said in sorted(pronunciations.items())]
    return EntityList(tuple(entities))


def heard_as(phones: np.ndarray | None) -> Emissions:
    nothing = np.zeros((0 if phones is None else len(phones), 0))
    return Emissions(SparseLogProbs(nothing.astype(np.int16), nothing.astype(np.float16)), phones)


def plausible(phonetic: Phonetic, phones: np.ndarray | None, entities: EntityList) -> EntityList:
    return Shortlister([phonetic]).shortlist(heard_as(phones), entities).entities


def texts(found: EntityList) -> list[str]:
    return [entity.text for entity in found.entities]


def test_what_is_heard_is_on_it_and_what_is_not_is_not(phonetic: Phonetic) -> None:
    entities = listed(zelensky=SAID, gorbachev="G AO R B AH CH AO F", met="M EH T")
    assert texts(plausible(phonetic, MET, entities)) == ["met", "zelensky"]


@pytest.mark.parametrize(
    "said",
    [
        "S EH L EH N S K IY",  # a sound like it in the place of one
        "Z EH L N S K IY",  # one that is heard on top
        "Z EH L EH N T S K IY",  # one that is not heard
        "Z AH L EH N S K IY",
    ],
)
def test_a_small_difference_does_not_matter(phonetic: Phonetic, said: str) -> None:
    assert texts(plausible(phonetic, MET, listed(name=said))) == ["name"]


def test_short_ones_must_fit_better(phonetic: Phonetic) -> None:
    assert texts(plausible(phonetic, MET, listed(same="M EH T", other="M AH K"))) == ["same"]


def test_a_cost_is_the_cheapest_lay_by_hand(phonetic: Phonetic) -> None:
    """Two sure phones with an uncertain one between: skipped, taken, or replaced."""
    frames = np.full((3, 40), -12.0, np.float32)
    for frame, phone in enumerate(("S", "T", "AA")):
        frames[frame, PHONE_IDS[phone] + 1] = -0.05
    frames[1, 0] = -2.05  # the blank is 2 nats below T
    config = ShortlistConfig(per_phone=10.0, spare=0.0, most=100.0)
    wide = Phonetic(config, Pronouncer())
    costs = {}
    for said in ("S T AA", "S AA", "S K AA", "S T L AA"):
        compiled = wide.compile(listed(name=said))
        costs[said] = float(wide.matching(frames, compiled).costs[0])
    assert costs["S T AA"] == 0.0
    assert costs["S AA"] == pytest.approx(2.0, abs=1e-5)
    assert costs["S T L AA"] == pytest.approx(config.drop, abs=1e-5)
    assert 0.0 < costs["S K AA"] <= config.clip


def test_the_other_entities_do_not_matter(phonetic: Phonetic) -> None:
    """Pointwise: each entity comes in or not as it does in a list of its own."""
    rng = np.random.default_rng(0)
    phones = list(PHONE_IDS)
    said = {f"name{k}": " ".join(rng.choice(phones, rng.integers(1, 9))) for k in range(300)}
    said |= {"zelensky": SAID, "len": "L EH N"}
    logits = rng.normal(size=(60, 40)) * 3
    frames = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float16)
    for heard in (MET, frames):
        together = texts(plausible(phonetic, heard, listed(**said)))
        alone = [name for name in sorted(said) if len(plausible(phonetic, heard, listed(**{name: said[name]})))]
        assert together == alone
        assert 0 < len(together) < len(said)


def test_all_pass_without_phones_and_none_is_none(phonetic: Phonetic) -> None:
    entities = listed(zelensky=SAID)
    assert plausible(phonetic, None, entities) is entities
    assert plausible(phonetic, MET, entities) is entities
    assert plausible(phonetic, MET, EMPTY) is EMPTY
    assert plausible(phonetic, MET[:0], entities) is EMPTY


def test_homophones_and_several_pronunciations(phonetic: Phonetic) -> None:
    two = Entity("kernel", "Kernel", pronunciations=("K ER N AH L", SAID))
    same = Entity("zelenskyj", "Zelenskyj", pronunciations=(SAID,))
    assert texts(plausible(phonetic, MET, EntityList((two, same)))) == ["kernel", "zelenskyj"]


def test_on_in_the_joint_preset_off_without(pronouncer: Pronouncer) -> None:
    tokens = load_tokens(AcousticConfig())
    assert [one.name for one in build_shortlister(joint(), pronouncer, tokens).strategies] == ["phonetic", "ranked"]
    assert [one.name for one in build_shortlister(without(joint(), "cut"), pronouncer, tokens).strategies] == [
        "phonetic"
    ]
    assert build_shortlister(RunConfig(), pronouncer, tokens).strategies == ()
    assert build_shortlister(dataclasses.replace(joint(), shortlist=None), pronouncer, tokens).strategies == ()


def utterance() -> Emissions:
    """ "we met nilsson" torn between its two spellings, with the phones of it."""
    tokens, frames = load_tokens(AcousticConfig()), []
    for one, other in (("we", "we"), ("met", "met"), ("nielsen", "nilsson")):
        for first, second in itertools.zip_longest(tokens.encoder(one), tokens.encoder(other), fillvalue=tokens.blank):
            row = np.full(len(tokens.pieces), 0.02 / len(tokens.pieces), np.float32)
            row[second] += 0.4
            row[first] += 0.58
            blank = np.full(len(tokens.pieces), 0.02 / len(tokens.pieces), np.float32)
            blank[tokens.blank] += 0.98
            frames += [row, blank]
    phones = spoken("W IY - M EH T - N IH L S AH N -")
    length = max(len(frames), len(phones))
    frames += [frames[1]] * (length - len(frames))
    phones = np.concatenate([phones, np.repeat(phones[-1:], length - len(phones), axis=0)])
    return Emissions(sparsify(np.log(np.stack(frames)), 32), phones.astype(np.float16))


def test_lists_with_the_same_shortlist_give_the_same_transcript() -> None:
    config = dataclasses.replace(joint(), language_model=None)
    transcriber = Recogniser.load(config, encodes=False).transcriber
    far = {"gorbachev": "G AO R B AH CH AO F", "zelensky": SAID, "vancomycin": "V AE NG K OW M AY S IH N"}
    name = {"nilsson": "N IH L S AH N"}
    heard = utterance()
    unbiased, none = transcriber.hypotheses(heard, EMPTY)
    again, found = transcriber.hypotheses(heard, listed(**far))
    assert (again, found.entities) == (unbiased, none.entities)
    biased, chosen = transcriber.hypotheses(heard, listed(**name))
    assert biased[0].text == "we met nilsson"
    assert unbiased[0].text != biased[0].text
    again, found = transcriber.hypotheses(heard, listed(**name, **far))
    assert (again, found.entities, found.strategies) == (biased, chosen.entities, (("phonetic",),))


def test_the_guard_is_asked_about_what_differs_from_the_unbiased_transcript() -> None:
    config = dataclasses.replace(joint(), language_model=None)
    transcriber = Recogniser.load(config, encodes=False).transcriber
    heard, names = utterance(), listed(nilsson="N IH L S AH N", gorbachev="G AO R B AH CH AO F")
    unbiased, asked = transcriber.proposals(heard, names)
    assert unbiased.text == transcriber.hypotheses(heard, EMPTY)[0][0].text == "we met nilsen"
    assert [proposal.text for proposal, _ in asked] == ["nilsson"]
    assert transcriber.proposals(heard, EMPTY) == (unbiased, [])
    with pytest.raises(ConfigError, match="no guard"):
        Recogniser.load(RunConfig(language_model=None), encodes=False).transcriber.proposals(heard, names)


def laid(frames: np.ndarray, said: list[int], config: ShortlistConfig) -> float:
    """The cost of a pronunciation by the formula of the module, one slot and one phone after the other."""
    gaps, skips = slots_of(frames, config)
    behind = {slot: 0.0 for slot in range(len(gaps) + 1)}  # slots behind -> least cost
    for place, phone in enumerate(said):
        if place:
            behind = {
                slot: min(cost + sum(skips[before:slot]) for before, cost in behind.items() if 0 <= slot - before <= 3)
                for slot in behind
            }
        behind = {
            slot: min(
                behind[slot] + config.drop, behind[slot - 1] + gaps[slot - 1][phone] if slot else float("inf")
            )
            for slot in behind
        }  # fmt: skip
    return min(behind.values())


def slots_of(frames: np.ndarray, config: ShortlistConfig) -> tuple[list[list[float]], list[float]]:
    gaps, skips = [], []
    confused = config.confusion * substitution_costs()
    for best, run in itertools.groupby(frames.astype(np.float32), key=lambda frame: int(frame.argmax())):
        slot = np.stack(list(run))
        raw = (slot[:, best, None] - slot[:, 1:]).min(0)
        if best or (raw < config.clip).any():
            raw = np.minimum(raw, config.clip)
            gaps.append(np.minimum((raw + confused).min(1), config.clip).tolist())
            skips.append(float(np.minimum(slot[:, best] - slot[:, 0], config.insert).max()))
    return gaps, skips


def test_what_fits_is_what_the_formula_says_name_by_name(pronouncer: Pronouncer) -> None:
    """No bound leaves out what would come in, and costs are those of the formula: short, long and very long names."""
    rng, phones, config = np.random.default_rng(1), list(PHONE_IDS), ShortlistConfig()
    heard = [list(rng.choice(phones, 40)) for _ in range(3)]
    said = {f"r{k}": list(rng.choice(phones, rng.integers(1, 7))) for k in range(60)}
    for number, utterance in enumerate(heard):
        for k in range(40):  # pieces of what is heard, with phones changed, left out and put in
            begin, length = int(rng.integers(0, 30)), int(rng.integers(3, 30))
            piece = [
                phone if rng.random() < 0.7 else str(rng.choice(phones))
                for phone in utterance[begin : begin + length]
                if rng.random() < 0.9
            ]
            said[f"n{number}-{k}"] = piece or ["AA"]
    entities = listed(**{name: " ".join(map(str, one)) for name, one in said.items()})
    phonetic = Phonetic(config, pronouncer)
    index = phonetic.compile(entities)
    for utterance in heard:
        frames = np.concatenate([spoken(" ".join(map(str, utterance)))] * 2)
        frames = frames + rng.normal(size=frames.shape) * 1.5
        found = phonetic.matching(frames.astype(np.float32), index)
        fit = found.per_phone(index)
        for at, entity in enumerate(entities.entities):
            ids = [PHONE_IDS[phone] for phone in entity.pronunciations[0].split()]
            cost = laid(frames, ids, config)
            within = cost <= min(config.per_phone * (len(ids) - config.spare), config.most)
            assert within == (at in found.entities)
            assert not within or fit[at] * len(ids) == pytest.approx(cost, abs=1e-3)
        assert 10 < len(found.entities) < len(entities) - 10
