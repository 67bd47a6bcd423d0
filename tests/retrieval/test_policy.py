"""Levels that nest, chances in closed form, draws that follow from what they concern, and files that are no policy."""

import dataclasses
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import CutConfig, LexicalConfig, PolicyConfig, ShortlistConfig
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError, InputError
from pipeline.recognition.emission_rows import read_emissions
from pipeline.retrieval.context import Context, ContextReader
from pipeline.retrieval.lexical import Lexical
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.pilot import Pilot
from pipeline.retrieval.policy import FLOOR, Policy, chances, draw, history, key_of, read_policy
from pipeline.retrieval.ranked import Ranked
from pipeline.retrieval.strategy import DEFAULT, LEVELS, Strategy
from pipeline.schemas import DECIDED, TRANSCRIPTS
from pipeline.types.emissions import Emissions, Whence
from pipeline.types.entity import Entity, EntityList
from tests.support.hearing import hear, shortlister, sounds, transcriber
from tests.support.inventory import CHARACTERS
from tests.support.policies import always, piloted, written

TEXTS = ("we met zelensky today", "the lens key is new", "ann lives in york", None, "new york times")
NAMES = ("ann", "kirk", "lens key", "new york", "odesa", "times", "today", "york", "zelensky")
LIST = EntityList(tuple(Entity(name, name.title()) for name in NAMES))
WHENCE = Whence("audio", "model", 3.0)
CONTEXT = Context((1.0, 1.4, 0.5, 0.2, 0.1, 0.7), (1.0, 2.0, 5.0, 9.0))


def test_without_exploration_the_greedy_level_is_sure() -> None:
    assert chances((0.0, 0.3, 0.2, 0.1, 0.0), 1, 0.0, 0.1) == (1.0, 1.0, 0.0, 0.0, 0.0)


def test_chances_of_wider_levels_are_a_softmax_with_a_floor_on_the_widest() -> None:
    worth = (0.0, 0.3, 0.1, 0.2, 0.1)
    single = [0.4 * np.exp(one / 0.1) / np.exp(np.array(worth[2:]) / 0.1).sum() for one in worth[2:]]
    found = chances(worth, 1, 0.4, 0.1)
    assert found == pytest.approx((1.0, 1.0, 0.4, single[1] + single[2], single[2]))
    poor = chances((0.0, 0.3, 0.2, 0.2, -9.0), 1, 0.4, 0.1)
    assert poor == pytest.approx((1.0, 1.0, 0.4, 0.19 + FLOOR, FLOOR)), "what the floor takes, the others give"
    assert chances((0.0,) * 5, LEVELS, 0.4, 0.1) == (1.0,) * 5, "nothing is wider than the widest"
    assert chances(worth, LEVELS - 1, 0.4, 0.1) == pytest.approx((1.0, 1.0, 1.0, 1.0, 0.4))


def test_draws_are_as_frequent_as_they_say_and_never_below_the_greedy_level() -> None:
    policy = always(2)
    features = policy.features("phonetic", CONTEXT, "north", None)
    drawn: Counter[int] = Counter()
    for at in range(4000):
        whence = dataclasses.replace(WHENCE, audio_sha256=f"{at}")
        drawn[policy.decide("phonetic", features, whence, 0.5).level] += 1
    decision = policy.decide("phonetic", features, WHENCE, 0.5)
    assert decision.greedy == 2
    assert min(drawn) == 2
    for level in (3, 4):
        share = sum(count for one, count in drawn.items() if one >= level) / 4000
        assert share == pytest.approx(decision.at_least[level], abs=0.03)


def test_a_draw_follows_from_version_audio_model_and_strategy_alone() -> None:
    assert draw("v", "a", "m", "s") == draw("v", "a", "m", "s")
    others = {draw(*names) for names in (("w", "a", "m", "s"), ("v", "b", "m", "s"), ("v", "a", "n", "s"),
                                         ("v", "a", "m", "t"), ("v", "a", "m", "s"))}  # fmt: skip
    assert len(others) == 5
    assert all(0 <= one < 1 for one in others)


def test_a_strategy_without_a_model_stays_as_it_is_configured() -> None:
    policy = always(1)
    decision = policy.decide("lexical", policy.features("phonetic", CONTEXT, "north", None), WHENCE, 0.5)
    assert (decision.greedy, decision.level, decision.at_least) == (DEFAULT, DEFAULT, (1.0, 1.0, 1.0, 1.0, 0.0))


def test_the_version_is_of_what_decides() -> None:
    policy = always(2)
    assert dataclasses.replace(policy, about={"reviews": 7}).version == policy.version
    assert len({policy.version, always(1).version, dataclasses.replace(policy, price=0.4).version}) == 3


def test_history_speaks_for_its_tenant_and_not_for_the_utterance_itself() -> None:
    counts = {"": (20.0, 20.0, 100.0), key_of("north"): (4.0, 12.0, 20.0)}
    model = dataclasses.replace(always(2).models["phonetic"], tenants=counts, sessions=counts)
    names, candidates, again = history(model, "north", "north")
    assert names == again == pytest.approx(np.log((12 + 4) / (4 + 4)), abs=1e-4), "twice as many as elsewhere"
    assert candidates == pytest.approx(np.log((20 + 4 * 5) / ((4 + 4) * 5)), abs=1e-4)
    assert history(model, "south", None) == history(None, "north", "north") == (0.0, 0.0, 0.0)
    assert history(model, "north", "north", less=(4.0, 12.0, 20.0)) == (0.0, 0.0, 0.0)


def test_a_level_is_worth_what_it_brings_less_what_it_costs() -> None:
    policy = always(2)
    features = policy.features("phonetic", CONTEXT, None, None)
    assert policy.values("phonetic", features) == pytest.approx((0.0, 0.5, 1.0, 0.5 + np.exp(-1), 2 * np.exp(-1)))


def test_a_policy_comes_back_from_its_file(tmp_path: Path) -> None:
    model = dataclasses.replace(always(2).models["phonetic"], tenants={"": (2.0, 1.0, 5.5)})
    policy = dataclasses.replace(always(2, session_names=0.5), models={"lexical": model}, about={"from": "here"})
    assert read_policy(written(policy, tmp_path)) == policy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "learn it anew"),
        ({"features": ["one"]}, "learn it anew"),
        ({"price": -1}, "price"),
        ({"temperature": 0.0}, "temperature"),
        ({"price": 0.75}, "changed by hand"),
        (
            {"strategies": {"phonetic": {"gain": [[0.0]], "cost": [[0.0]], "tenants": {}, "sessions": {}}}},
            "needed is 4 times",
        ),
        ({"price": "NaN"}, "no number"),
        ({"strategies": []}, "is no policy"),
    ],
)
def test_what_is_no_policy_says_so(change: dict[str, object], said: str, tmp_path: Path) -> None:
    path = written(always(2), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=said):
        read_policy(path)


def test_a_file_that_is_missing_or_no_json_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no policy"):
        read_policy(tmp_path / "policy.json")
    (tmp_path / "policy.json").write_text("hello")
    with pytest.raises(InputError, match="is no policy"):
        read_policy(tmp_path / "policy.json")


@pytest.mark.parametrize("explore", [-0.1, 0.01, 1.5, float("nan")])
def test_exploration_is_a_share_that_leaves_room_for_the_floor(explore: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--explore"):
        piloted(written(always(2), tmp_path), explore)
    with pytest.raises(ConfigError, match="names no file"):
        Pilot(PolicyConfig(), None)  # type: ignore[arg-type]


def heard() -> list[Emissions]:
    return [one for seed in range(4) for _, one in read_emissions(hear(TEXTS, 7 * seed)) if one is not None]


def strategies() -> list[Strategy]:
    phonetic = Phonetic(ShortlistConfig(), sounds().pronouncer)
    return [
        phonetic,
        Ranked(CutConfig(above=2, bound=11.0), phonetic, CHARACTERS),
        Lexical(LexicalConfig(), CHARACTERS),
    ]


@pytest.mark.parametrize("strategy", strategies(), ids=lambda one: one.name)
def test_what_a_level_finds_every_wider_one_finds_too(strategy: Strategy) -> None:
    assert strategy.at(DEFAULT) is strategy
    sizes = Counter[int]()
    for one in heard():
        before: set[int] = set()
        for level in range(1, LEVELS + 1):
            indices = strategy.at(level).select(one, LIST)
            assert indices is not None
            found = set(indices.tolist())
            assert before <= found
            before = found
            sizes[level] += len(found)
    assert sizes[1] < sizes[LEVELS], "the thresholds differ, and so does what they find"


def test_features_are_of_the_audio() -> None:
    reader = ContextReader(ShortlistConfig(), sounds().pronouncer, CHARACTERS)
    contexts = [reader.of(one) for one in heard()]
    assert len({one.values for one in contexts}) > 4
    assert all(list(one.background) == sorted(one.background) for one in contexts)
    assert any(one.background[-1] > one.background[0] for one in contexts)
    deaf = dataclasses.replace(heard()[0], phone_log_probs=None)
    assert reader.of(deaf).background == (0.0,) * LEVELS
    again = ContextReader(ShortlistConfig(), sounds().pronouncer, CHARACTERS)
    assert again.of(heard()[0]) == contexts[0]


def texts_of(shortlister: object, one: Emissions) -> list[str]:
    return [entity.text for entity in shortlister.shortlist(one, LIST).entities.entities]  # type: ignore[attr-defined]


def test_the_shortlist_is_as_wide_as_the_policy_says(tmp_path: Path) -> None:
    plain = shortlister()
    for at, one in enumerate(heard()):
        found = [texts_of(piloted(written(always(level), tmp_path / f"{level}")), one) for level in range(LEVELS + 1)]
        assert found[0] == [], at
        assert found[DEFAULT] == texts_of(plain, one)
        assert all(set(lower) <= set(wider) for lower, wider in itertools.pairwise(found))


def test_emissions_of_nowhere_cannot_be_decided_about(tmp_path: Path) -> None:
    nowhere = dataclasses.replace(heard()[0], whence=None)
    with pytest.raises(ValueError, match="do not say"):
        piloted(written(always(2), tmp_path)).shortlist(nowhere, LIST)


def test_a_policy_that_takes_the_default_level_everywhere_writes_todays_rows(tmp_path: Path) -> None:
    emissions, plain = hear(TEXTS, 7), transcriber(EntitySource(LIST))
    rows = dataclasses.replace(plain, shortlister=piloted(written(always(DEFAULT), tmp_path))).transcribe(emissions)
    assert rows.select(TRANSCRIPTS.names).equals(plain.transcribe(emissions))
    assert DECIDED.name not in plain.transcribe(emissions).column_names


def test_decisions_say_what_each_level_finds(tmp_path: Path) -> None:
    emissions = hear(TEXTS, 7)
    wide = dataclasses.replace(transcriber(EntitySource(LIST)), shortlister=piloted(written(always(LEVELS), tmp_path)))
    rows = wide.transcribe(emissions).to_pylist()
    assert rows[3]["decisions"] is None, "a row with an error"
    for row, (_, one) in zip(rows, read_emissions(emissions), strict=True):
        if one is None:
            continue
        phonetic, ranked = row["decisions"]
        assert (phonetic["strategy"], phonetic["level"], phonetic["greedy"]) == ("phonetic", LEVELS, LEVELS)
        selected = [shortlister().strategies[0].at(level).select(one, LIST) for level in range(1, LEVELS + 1)]
        assert phonetic["candidates"] == [len(found) for found in selected]
        for found in phonetic["found"]:
            levels = [level for level, some in enumerate(selected, 1) if NAMES.index(found["entity"]) in some]
            assert found["level"] == min(levels)
        assert {found["entity"] for found in phonetic["found"]} == {one["entity"] for one in row["entities"]}
        assert (ranked["candidates"], ranked["level"]) == (None, DEFAULT), "it says nothing of small lists"
    assert sum(len(row["decisions"][0]["found"]) for row in rows if row["decisions"]) > 2


def test_a_policy_reads_nothing_of_the_list(tmp_path: Path) -> None:
    path = written(always(1, background=0.9), tmp_path)
    some, more = (
        dataclasses.replace(transcriber(EntitySource(one)), shortlister=piloted(path, 0.5)).transcribe(hear(TEXTS, 7))
        for one in (LIST, EntityList(LIST.entities[:3]))
    )
    names = ("policy", "features", "greedy", "level", "at_least")
    decisions = [
        [[{name: one[name] for name in names} for one in row or ()] for row in rows[DECIDED.name].to_pylist()]
        for rows in (some, more)
    ]
    assert decisions[0] == decisions[1]


def test_policies_are_values() -> None:
    assert always(2) == always(2)
    assert isinstance(always(2), Policy)
