"""No bound leaves out what could be found: each is at most what it stands for."""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, CutConfig, ShortlistConfig, joint
from pipeline.errors import InputError
from pipeline.lexicon.phones import PHONE_IDS
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval import block_entries, ranked
from pipeline.retrieval.block_costs import block_costs, ceilings, clear_steps, clearly_heard, lay_halves
from pipeline.retrieval.block_entries import ENTITY, LETTERS, NO_SUBWORD, RAREST, SUBWORDS, WORD, entries_of
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.placed import MOST, PLACED
from pipeline.retrieval.ranked import ALONE, FEATURES, Ranked, log_odds
from pipeline.retrieval.reach import Reach, _looked_at, least_costs, most_odds, spelled_odds
from pipeline.retrieval.sound_index import SoundIndex, build_index, encode
from pipeline.retrieval.spelling_index import build_spellings, subword_gaps
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify

TOKENS = load_tokens(AcousticConfig())
CONFIG = ShortlistConfig()
PHONES = list(PHONE_IDS)
SPELLING = ("letters", "subwords", "spelling", "spelling_per_letter", "spelling_capped")
WORDS = ("we", "met", "nilsson", "nelson", "nielsen", "thatcher", "gandhi", "a", "vancomycin", "new york", "anna lee")


@functools.cache
def pronouncer() -> Pronouncer:
    return Pronouncer()


@functools.cache
def phonetic() -> Phonetic:
    return Phonetic(CONFIG, pronouncer())


def noise(seed: int, frames: int, sharp: float) -> np.ndarray:
    """[frames, 40] log-probs of phones that are the surer the sharper they are, with blanks between them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(frames, len(PHONES) + 1)) * sharp
    logits[rng.random(frames) < 0.4, 0] += 2 * sharp
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float16)


def index_of_random(rng: np.random.Generator, size: int) -> SoundIndex:
    said = [tuple(rng.choice(PHONES, rng.integers(1, 20))) for _ in range(size)]
    return build_index([encode([tuple(map(str, one))]) for one in said])


def sums_of_blocks(index: SoundIndex, phone_log_probs: np.ndarray) -> np.ndarray:
    """[K] nats that the blocks of each pronunciation cost together."""
    best = block_costs(index, phonetic().slots(phone_log_probs)).astype(np.int64)
    return np.add.reduceat(best[index.parts[:-2]], index.part_starts[:-1]) / 10


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 90), st.floats(0.3, 4.0))
def test_blocks_cost_no_more_than_the_pronunciation_anywhere(seed: int, frames: int, sharp: float) -> None:
    rng, heard = np.random.default_rng(seed), noise(seed, frames, sharp)
    index = index_of_random(rng, 30)
    every = np.arange(len(index.lengths), dtype=np.int32)
    least = sums_of_blocks(index, heard)
    wide = dataclasses.replace(CONFIG, per_phone=100.0, spare=0.0, most=1000.0)
    fitting = Phonetic(wide, pronouncer()).laid(phonetic().slots(heard), index, every)
    assert fitting.pronunciations.tolist() == every.tolist()
    assert (least <= fitting.costs + 1e-3).all()
    begins = rng.integers(-2, frames, len(every))
    ends = begins + rng.integers(0, frames + 3, len(every))
    assert (least <= phonetic().through(heard, index, every, begins, ends) + 1e-3).all()


def test_blocks_are_laid_over_any_number_of_slots_between() -> None:
    """Two sure phones, five unsure ones between them: the way through costs what these cost, not a dropped phone."""
    frames = np.full((7, 40), -12.0, np.float32)
    for frame, phone in enumerate(("S", "T", "K", "P", "T", "K", "AA")):
        frames[frame, PHONE_IDS[phone] + 1] = -0.1
        frames[frame, 0] = -0.4 if 0 < frame < 6 else -12.0
    index = build_index([encode([("S", "AA")])])
    through = phonetic().through(
        frames.astype(np.float16), index, np.zeros(1, np.int32), np.zeros(1, int), np.full(1, 7)
    )
    assert through[0] == pytest.approx(1.5, abs=0.01)
    assert sums_of_blocks(index, frames.astype(np.float16))[0] == pytest.approx(1.4, abs=0.11)


WEIGHTS = st.fixed_dictionaries({name: st.floats(-3, 3) for name in FEATURES})


@settings(deadline=None, max_examples=60)
@given(WEIGHTS, st.integers(1, 20), st.floats(0, 1), st.integers(1, 30), st.integers(1, 12), st.data())
def test_no_entity_has_more_log_odds_than_its_least_costs_allow(
    weights: Mapping[str, float], phones: int, share: float, letters: int, subwords: int, data: st.DataObject
) -> None:
    """Whatever it costs from the least on, and wherever it lies."""
    allowed = phonetic().limits(20)
    cost = np.float32(max(0.0, share * allowed[phones]))
    least = int(np.float64(cost) * 10 * data.draw(st.floats(0, 1)))
    spelling = np.float32(data.draw(st.one_of(st.floats(0, 60), st.just(10_000.0))))
    least_spelling = float(spelling) * data.draw(st.floats(0, 1))
    alone = log_odds(
        [weights[name] for name in ALONE], *(np.array([one]) for one in (cost, phones, spelling, subwords, letters))
    )
    through = data.draw(st.floats(least / 10, 100))
    places = (data.draw(st.sampled_from((0, 1))), data.draw(st.sampled_from((0, 1))), through, through / phones)
    found = alone[0] + sum(weights[name] * min(one, most) for name, one, most in zip(PLACED, places, MOST, strict=True))
    of_spelling = np.array([weights[name] for name in SPELLING])
    bound = most_odds(weights, allowed)[phones, least] + spelled_odds(least_spelling, letters, subwords, of_spelling)
    assert allowed[phones] < cost or found <= bound + 1e-3


def test_odds_only_fall_with_the_cost() -> None:
    weights = dict(zip(FEATURES, Ranked.build(joint(), pronouncer(), TOKENS).weights, strict=True))
    for sign in (1.0, -1.0):
        odds = most_odds({name: sign * weight for name, weight in weights.items()}, phonetic().limits(30))
        assert (odds[:, :-1] >= odds[:, 1:]).all()
        assert odds.shape == (31, 302)


def emissions(seed: int, sharp: float, said: str = "nilsson") -> Emissions:
    """A name's phones and subwords, surely heard in noise that is the louder the sharper it is."""
    rng = np.random.default_rng(seed)
    phones, rows = noise(seed, 60, sharp), rng.normal(size=(60, len(TOKENS.pieces))).astype(np.float32) * sharp
    for at, phone in enumerate(pronouncer().entity(Entity(said, said))[0]):
        phones[3 + at] = -9.0
        phones[3 + at, PHONE_IDS[phone] + 1] = -0.01
    for at, token in enumerate(TOKENS.encoder(said)):
        rows[3 + at, token] += 12.0
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    return Emissions(sparsify(rows, 32), phones)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.3, 4.0))
def test_subwords_cost_at_least_their_best_frames(seed: int, sharp: float) -> None:
    heard = emissions(seed, sharp).tokens
    entities = tuple(Entity(word, word) for word in WORDS)
    index = build_spellings(entities, TOKENS)
    gaps = subword_gaps(heard, len(TOKENS.pieces))
    said = index.spelled(gaps, np.arange(len(WORDS), dtype=np.int32), TOKENS.blank)
    least = least_costs(gaps)
    sums = np.add.reduceat(least[index.tokens], index.starts[:-1])
    assert (sums <= said.costs + 1e-3).all()
    assert (sums > 0).any()


def random_list(rng: np.random.Generator) -> EntityList:
    """Names that are said as they are or in ways of their own; some of them with aliases, or without any sound."""
    entities = [Entity("—", "—"), Entity("gwrych", "Gwrych", aliases=("anna lee", "a"))]
    for k in range(40):
        text = " ".join(map(str, rng.choice(WORDS, rng.integers(1, 5))))
        said = tuple(" ".join(map(str, rng.choice(PHONES, rng.integers(1, 24)))) for _ in range(rng.integers(0, 3)))
        entities.append(Entity(text, text, pronunciations=said if k % 2 else ()))
    return EntityList(tuple(sorted({one.text: one for one in entities}.values(), key=lambda one: one.text)))


@settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 10_000),
    st.floats(0.3, 3.0),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.integers(0, 3),
)
def test_of_a_large_list_the_same_is_found_with_the_same_odds(seed: int, sharp: float, said: str, nth: int) -> None:
    """Also where the bound is what the nth best just has."""
    others = [one for one in random_list(np.random.default_rng(seed)).entities if one.text != said]
    last = Entity(said, said) if seed % 2 else Entity(f"{said} and", "", aliases=(said,))
    heard, entities = emissions(seed, sharp, said), EntityList((*others, last))
    one = Ranked.build(dataclasses.replace(joint(), cut=CutConfig(above=3)), pronouncer(), TOKENS)
    phones = heard.phone_log_probs
    assert phones is not None
    _, odds = one._judged(heard, phones, entities, -100.0)
    bound = float(np.sort(odds)[::-1][nth]) if len(odds) > nth else -10.0
    found = one._judged(heard, phones, entities, bound)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ranked, "_MANY", 0)
        quickly = one._judged(heard, phones, entities, bound)
    reaching, there = found[1] >= bound, quickly[1] >= bound
    assert quickly[0][there].tolist() == found[0][reaching].tolist()
    assert quickly[1][there].tolist() == found[1][reaching].tolist()
    assert len(odds) <= nth or reaching.sum() > nth


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.3, 4.0), st.integers(1, 60))
def test_entities_reach_a_bound_by_what_their_spellings_cost(seed: int, sharp: float, frames: int) -> None:
    """Neither more nor fewer than by all that is laid, whichever other spellings are laid before."""
    rng = np.random.default_rng(seed)
    words = [*WORDS, *(f"{first} {second}" for first in WORDS for second in WORDS[: rng.integers(0, 9)])]
    entities = [Entity("—", "—"), *(Entity(word, word) for word in rng.permutation(words).tolist())]
    spellings, listed = build_spellings(entities, TOKENS), np.arange(len(entities), dtype=np.int32)
    index = build_index([encode([tuple(PHONES[:3])]) for _ in entities])
    weights = dict(zip(FEATURES, Ranked.build(joint(), pronouncer(), TOKENS).weights, strict=True))
    gaps = subword_gaps(emissions(seed, sharp, "thatcher").tokens, len(TOKENS.pieces))[:frames]
    said, odds = spellings.spelled(gaps, listed, TOKENS.blank), rng.normal(size=len(entities))
    of_spelling = np.array([weights[name] for name in SPELLING])
    costs = zip(said.costs.tolist(), said.letters.tolist(), said.subwords.tolist(), strict=True)
    added = odds + np.array([spelled_odds(cost, float(size), float(count), of_spelling) for cost, size, count in costs])
    bound = float(rng.choice(added))
    some = np.flatnonzero(rng.random(len(entities)) < 0.7).astype(np.int32)
    found = Reach(index, entries_of(index, spellings), spellings, weights).by_spelling(
        gaps, least_costs(gaps), TOKENS.blank, some, odds[some], bound + 2e-3
    )
    assert found.tolist() == (added[some] >= bound + 1e-3).tolist()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.floats(-12, 2))
def test_what_some_subwords_cost_takes_no_more_from_the_phones_than_the_odds_say(seed: int, bound: float) -> None:
    """Each entry is kept, with every sum of blocks at which its entity could reach the bound."""
    rng = np.random.default_rng(seed)
    words = [f"{first} {second}" for first in WORDS for second in WORDS[: rng.integers(1, 9)]]
    said = [tuple(map(str, rng.choice(PHONES, rng.integers(1, 19)))) for _ in words]
    index = build_index([encode([one]) for one in said])
    spellings = build_spellings([Entity(word, word) for word in words], TOKENS)
    entries = entries_of(index, spellings)
    weights = dict(zip(FEATURES, Ranked.build(joint(), pronouncer(), TOKENS).weights, strict=True))
    allowed, no_limit = phonetic().limits(index.longest), np.full(index.longest + 1, 255, np.uint8)
    limits = Reach(index, entries, spellings, weights)._limited(allowed, bound, no_limit)
    eighths = rng.integers(0, 97, NO_SUBWORD + 1).astype(np.uint8)
    eighths[NO_SUBWORD] = 0
    of_spelling = np.array([weights[name] for name in SPELLING])
    for block in range(len(index.block_lefts)):
        cheapest = np.full(1, rng.integers(0, 120), np.uint8)
        found, _, below = _looked_at(
            np.array([block], np.int32), cheapest, entries.starts, entries.entries, limits.entries, eighths,
            limits.lost, limits.steps,
        )  # fmt: skip
        kept = dict(zip(found.tolist(), below.tolist(), strict=True))
        for at in range(entries.starts[block], entries.starts[block + 1]):
            entity = entries.entries[at, ENTITY]
            word = int(entries.entries[at, WORD]) | int(entries.entries[at, WORD + 1]) << 32
            phones = word & (1 << block_entries.PHONES) - 1
            tokens = spellings.tokens[spellings.starts[entity] : spellings.starts[entity + 1]]
            rare = [word >> block_entries.PHONES + LETTERS + SUBWORDS * place & NO_SUBWORD for place in range(RAREST)]
            cost = float(sum(eighths[token] for token in rare)) / 8
            shape = spelled_odds(cost, float(spellings.letters[entity]), float(len(tokens)), of_spelling)
            reached = np.flatnonzero(limits.odds[phones] + shape >= bound)
            if len(reached) and reached[-1] >= -(-phones // 6) * int(cheapest[0]):
                assert kept[at] > reached[-1]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 90), st.floats(0.3, 4.0))
def test_cheap_blocks_are_those_below_their_limits(seed: int, frames: int, sharp: float) -> None:
    rng, slots = np.random.default_rng(seed), phonetic().slots(noise(seed, frames, sharp))
    index = index_of_random(rng, 30)
    costs = block_costs(index, slots)
    limits = rng.integers(0, 130, len(costs)).astype(np.uint8)
    blocks, found = lay_halves(index, slots).below(ceilings(index, limits))
    assert sorted(blocks.tolist()) == np.flatnonzero(costs < limits).tolist()
    assert found.tolist() == costs[blocks].tolist()


def test_of_a_long_name_one_block_must_be_clearly_heard() -> None:
    """Allowed are 16.15 nats for ten phones, 8.1 for either block: half of that is 40 steps. Six are one block."""
    allowed = phonetic().limits(12)
    below = clear_steps(0.5, allowed)
    assert below[[6, 10, 12]].tolist() == [255, 41, 50]
    heard = np.full((10, 40), -9.0, np.float16)
    for frame, phone in enumerate(("V", "AE", "NG", "K", "OW")):
        heard[frame, PHONE_IDS[phone] + 1] = -0.01
    heard[5:, 0] = -0.01
    said = ["V AE NG K OW M AY S IH N", "M AY S IH N V AE NG K OW", "M AY S IH N T AY L S UH", "S IH N"]
    index = build_index([encode([tuple(one.split())]) for one in said])
    which, owners = index.owned(np.arange(len(index.lengths), dtype=np.int32))
    clear = clearly_heard(index, phonetic().slots(heard), which.astype(np.int32), below)
    assert {said[owner] for owner in owners[clear].tolist()} == {said[0], said[1], said[3]}
    assert clearly_heard(index, phonetic().slots(heard), which[:0].astype(np.int32), below).tolist() == []


def test_what_is_clearly_heard_is_asked_of_small_lists_too() -> None:
    """The same entities are found, whichever way a list is looked at; without the limit there are more."""
    heard, entities = emissions(3, 2.0), random_list(np.random.default_rng(3))
    found = {}
    for share in (0.0, 0.3, 1.0):
        cut = CutConfig(above=3, heard=share, heard_per_doubling=0.0)
        one = Ranked.build(dataclasses.replace(joint(), cut=cut), pronouncer(), TOKENS)
        assert heard.phone_log_probs is not None
        found[share] = one._judged(heard, heard.phone_log_probs, entities, -30.0)[0].tolist()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ranked, "_MANY", 0)
            assert one._judged(heard, heard.phone_log_probs, entities, -30.0)[0].tolist() == found[share]
    assert len(found[0.0]) < len(found[0.3]) < len(found[1.0])
    assert set(found[0.0]) < set(found[0.3]) < set(found[1.0])


def test_a_list_that_is_too_large_is_refused() -> None:
    index = dataclasses.replace(index_of_random(np.random.default_rng(0), 2), size=np.array([1 << 27, 9], np.int32))
    spellings = build_spellings([], TOKENS)
    weights = dict.fromkeys(FEATURES, 0.0)
    with pytest.raises(InputError, match="134,217,728 names"):
        Reach(index, entries_of(build_index([]), spellings), spellings, weights)
