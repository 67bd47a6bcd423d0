import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.acoustic.letter_units import letter_pronouncer
from pipeline.config import GuardConfig, SessionConfig
from pipeline.errors import ConfigError, ModelError
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.aligned import Fit
from pipeline.rescoring.evidence import FEATURES, STANDING, Evidence
from pipeline.rescoring.guard import ADAPTED, DOUBT, PLAIN, Guard, guarded, read_judge
from pipeline.rescoring.proposals import Proposal, differences
from pipeline.rescoring.session import SessionOdds
from pipeline.rescoring.trees import Trees
from pipeline.retrieval.ranked import ALONE, weights_of
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList
from pipeline.types.hypothesis import Hypothesis
from pipeline.types.tokens import WORD_START, Tokens
from tests.support.speech import hypothesis, said

PRONOUNCER = Pronouncer()
LETTERS = Tokens(("", WORD_START, *"abcdefghijklmnopqrstuvwxyz'"), 0, lambda text: [], lambda text, count: [])
MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
LENS = "M M EH - T T DH AH L EH N N Z K - IY T T AH D EY EY - -"
NAMES = EntityList(
    (
        Entity("today", "today"),
        Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),
    )
)
UNBIASED = [hypothesis("met the lens key today", -5.0), hypothesis("met the lens today", -6.0)]
BIASED = [hypothesis("met zelensky today", -5.5, "zelensky", "today"), hypothesis("met the lens key today", -8.0)]


def guard(**fields: float) -> Guard:
    config = GuardConfig(**fields)  # type: ignore[arg-type]
    return Guard(config, Evidence(config, LETTERS, None, PRONOUNCER, ListPronouncer(PRONOUNCER)))


def judge(labels: str, **fields: float) -> list[Hypothesis]:
    one = guard(**fields)
    scene = one.evidence.scene(UNBIASED[0], said(labels), NAMES)
    assert scene is not None
    return guarded(one, UNBIASED, BIASED, scene, differences(UNBIASED[0], BIASED[0]), NAMES)


def features(labels: str) -> dict[str, float]:
    one = guard().evidence
    scene = one.scene(UNBIASED[0], said(labels), NAMES)
    assert scene is not None
    ((values, _),) = one.measure(scene, differences(UNBIASED[0], BIASED[0]))
    return dict(zip(FEATURES, values, strict=True))


def test_what_was_said_is_written_and_explained() -> None:
    best = judge(MET, bound=-50.0)[0]
    assert best.text == "met zelensky today"
    assert [span.entity for span in best.entities] == ["zelensky", "today"]
    span = best.entities[0]
    assert (span.start_word, span.end_word, span.alternative) == (1, 2, "the lens key")
    assert span.phone_cost is not None
    assert span.alternative_phone_cost is not None
    assert span.phone_cost < span.alternative_phone_cost
    assert best.total == pytest.approx(best.acoustic + best.lm + best.boost)


def test_what_is_not_believed_leaves_the_unbiased_result_as_it_is() -> None:
    found = judge(LENS, bound=50.0)
    assert [(one.text, one.total) for one in found] == [(one.text, one.total) for one in UNBIASED]
    assert found[0].words == UNBIASED[0].words
    assert [span.entity for span in found[0].entities] == ["today"]


def test_a_name_that_was_clear_earlier_needs_less_evidence() -> None:
    (odds,) = (value for _, value, _ in _weighed(0.0))
    assert [value for _, value, _ in _weighed(3.0)] == [odds]
    assert [value for _, value, _ in _weighed(3.0, "today")] == [odds]
    assert [value for _, value, _ in _weighed(3.0, "today", "zelensky")] == [pytest.approx(odds + 3.0)]


def _weighed(believed: float, *earlier: str) -> list[tuple[Proposal, float, Fit]]:
    config = GuardConfig()
    moved = SessionOdds(SessionConfig(believed=believed)).of
    one = Guard(config, Evidence(config, LETTERS, None, PRONOUNCER, ListPronouncer(PRONOUNCER)), movers=(moved,))
    scene = one.evidence.scene(UNBIASED[0], dataclasses.replace(said(MET), earlier=earlier), NAMES)
    assert scene is not None
    return one.weigh(scene, differences(UNBIASED[0], BIASED[0]))


def test_sounds_speak_for_what_was_said() -> None:
    right, wrong = features(MET), features(LENS)
    assert right["gain"] > 5
    assert wrong["gain"] < -1
    assert right["excess_per_phone"] < 0.2 < wrong["excess_per_phone"]
    assert right["misheard"] < wrong["misheard"]
    assert right["worst_phone"] < wrong["worst_phone"]
    assert right["unbiased_excess"] > wrong["unbiased_excess"]
    assert right["phones"] == 8
    assert right["words"] == -2


def test_an_entity_whose_own_letters_are_heard_costs_less_per_piece() -> None:
    heard, lens = letters("met-zelensky-today"), letters("met-the-lens-key-today")
    assert own(heard) == pytest.approx(0.0, abs=1e-5)
    assert 1.0 < own(lens) < 10.0


def letters(text: str) -> Emissions:
    """MET with a frame of the token head for each letter, blanks after; "-" is where a word begins."""
    ids = [LETTERS.pieces.index(WORD_START if letter == "-" else letter) for letter in text]
    ids += [LETTERS.blank] * (len(MET.split()) - len(ids))
    return dataclasses.replace(
        said(MET), tokens=SparseLogProbs(np.array(ids, np.int16)[:, None], np.zeros((len(ids), 1), np.float16))
    )


def own(heard: Emissions) -> float:
    one = guard().evidence
    scene = one.scene(UNBIASED[0], heard, NAMES)
    assert scene is not None
    (((cost,), _),) = one.measure(scene, differences(UNBIASED[0], BIASED[0]), ("own_subwords",))
    return float(cost)


def test_entities_that_fit_are_counted_apart_from_those_that_are_only_plausible() -> None:
    met, lamp = features(MET), features("M M EH - T T DH AH L AE M P - T T AH D EY EY - - - -")
    assert met["close_crowd"] == met["crowd"]  # both names of the list are heard phone by phone
    assert lamp["close_crowd"] < lamp["crowd"]


ODDS = dict.fromkeys(ALONE, 0.0) | {"cost": -1.0}
"""Weights by which an entity is as likely as its phones are cheap."""


def standing(entities: EntityList, size_class: int = 0) -> dict[str, float]:
    """What is known of "zelensky" among others where it was said."""
    one, found = guard().evidence, dict[str, float]()
    scene = one.scene(UNBIASED[0], said(MET), entities, size_class)
    assert scene is not None
    asked = ("catalog", *STANDING)
    ((values, _),) = one.measure(scene, differences(UNBIASED[0], BIASED[0]), asked, weights_of(ODDS))
    found |= zip(asked, values, strict=True)
    return found


def named(*said_as: str) -> EntityList:
    names = [Entity(f"name{'abc'[at]}", "", pronunciations=(one,)) for at, one in enumerate(said_as)]
    return EntityList((*names, *NAMES.entities))


def test_a_name_stands_among_the_others_of_its_shortlist() -> None:
    alone = standing(NAMES)
    assert alone["retrieved"] > -1.0
    assert alone["as_likely"] == pytest.approx(np.log(2))  # "today" was said as well
    twins = standing(named("Z EH L EH N S K IY", "Z EH L EH N S K IY", "V AE NG K OW M AY S IH N"))
    assert twins["retrieved"] == alone["retrieved"]
    assert twins["as_likely"] == pytest.approx(np.log(4))


def test_how_large_the_list_was_is_known_of_ranked_ones_only() -> None:
    assert standing(NAMES, size_class=18)["catalog"] == 6
    assert standing(NAMES)["catalog"] == 0


def test_without_weights_of_the_odds_nothing_is_known_of_the_others() -> None:
    measured = features(MET)
    assert [measured[name] for name in STANDING] == [0.0] * len(STANDING)


def test_rivals_are_those_that_are_spelled_in_the_same_place() -> None:
    names = EntityList(tuple(Entity(one, one, pronunciations=("Z EH L EH N S K IY",)) for one in ("met", "zelenski")))
    config = GuardConfig()
    tokens = dataclasses.replace(LETTERS, encoder=lambda text: [LETTERS.pieces.index(letter) for letter in text])
    one = Evidence(config, tokens, None, PRONOUNCER, ListPronouncer(PRONOUNCER))
    scene = one.scene(UNBIASED[0], letters("met-zelensky-today"), EntityList((*names.entities, *NAMES.entities[1:])))
    assert scene is not None
    asked = ("as_likely", "rivals_here", "share")
    ((values, _),) = one.measure(scene, differences(UNBIASED[0], BIASED[0]), asked, weights_of(ODDS))
    assert np.exp(values).round(3).tolist() == [3, 2, 0.5]


def test_no_phone_head_no_scene() -> None:
    silent = type(said(MET))(said(MET).tokens)
    assert guard().evidence.scene(UNBIASED[0], silent, NAMES) is None


STUMP = {
    "base": -1.0, "roots": [0], "feature": [0, -1, -1], "threshold": [2.5, 0, 0], "left": [1, 0, 0], "right": [2, 0, 0],
    "value": [0, -3.0, 4.0],
}  # fmt: skip


def test_trees_add_up() -> None:
    both = {name: values * 2 for name, values in STUMP.items() if name not in ("base", "roots", "left", "right")}
    two = {"base": 0.5, "roots": [0, 3], "left": [1, 0, 0, 4, 0, 0], "right": [2, 0, 0, 5, 0, 0], **both}
    assert Trees.from_json(STUMP, 1).score(np.array([2.5])) == -4.0
    assert Trees.from_json(STUMP, 1).score(np.array([2.6])) == 3.0
    trees = Trees.from_json(two, 1)
    assert trees.score(np.array([9.0])) == 8.5
    assert trees.to_json() == two


@pytest.mark.parametrize(
    "wrong", [{"left": [0, 0, 0]}, {"right": [3, 0, 0]}, {"feature": [1, -1, -1]}, {"value": [0.0]}, {"roots": [3]}]
)
def test_trees_that_lead_nowhere(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="trees"):
        Trees.from_json(STUMP | wrong, 1)


def written(path: Path, **changed: object) -> Path:
    part = {"trees": STUMP, "bounds": [[20, 1.5], [2, 4.0], [60, 0.25]]}
    content = {"features": FEATURES, "odds": ODDS, "plain": part, "adapted": part | {"bounds": [[20, 9.0]]}}
    path.write_text(json.dumps(content | changed))
    return path


def test_the_rate_chooses_the_bound(tmp_path: Path) -> None:
    weights = read_judge(written(tmp_path / "guard.json"))
    assert [weights.bound(rate) for rate in (2, 19, 20, 30, 1000)] == [4.0, 4.0, 1.5, 1.5, 0.25]
    with pytest.raises(ConfigError, match=r"at least 2, got 1\.5"):
        weights.bound(1.5)
    assert read_judge(tmp_path / "guard.json", ADAPTED).bound(20) == 9.0


def test_weights_are_for_the_measurements_that_they_name_in_any_order(tmp_path: Path) -> None:
    config = GuardConfig(
        bound=0.0, weights=str(written(tmp_path / "few.json", features=["words", "gain", "own_subwords"]))
    )
    one = Guard(config, Evidence(config, LETTERS, None, PRONOUNCER, ListPronouncer(PRONOUNCER)))
    scene = one.evidence.scene(UNBIASED[0], said(MET), NAMES)
    assert scene is not None
    ((values, _),) = one.measure(scene, differences(UNBIASED[0], BIASED[0]))
    assert values[:2].tolist() == [features(MET)["words"], features(MET)["gain"]]
    assert len(values) == 3
    with pytest.raises(ModelError, match="not the guard's weights"):
        read_judge(written(tmp_path / "twice.json", features=["words", "words"]))


def test_damaged_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not the guard's weights"):
        read_judge(tmp_path / "none.json")
    with pytest.raises(ModelError, match="loudness"):
        read_judge(written(tmp_path / "other.json", features=["loudness"]))
    with pytest.raises(ModelError, match="phones"):
        read_judge(written(tmp_path / "blind.json", features=["gain", "share"], odds={"one": 1.0, "cost": 1.0}))
    with pytest.raises(ModelError, match="lead nowhere"):
        read_judge(written(tmp_path / "loop.json", plain={"trees": STUMP | {"left": [0, 0, 0]}, "bounds": []}))


@pytest.mark.parametrize("part", [PLAIN, ADAPTED])
def test_the_shipped_weights_have_bounds_for_a_range_of_rates(part: str) -> None:
    weights = read_judge(Path(GuardConfig().weights), part)
    assert np.isfinite(weights.trees.value).all()
    bounds = [bound for _, bound in weights.bounds]
    assert len(bounds) > 3
    assert bounds == sorted(bounds, reverse=True)
    assert weights.bounds[0][0] <= GuardConfig().max_false_accepts_per_hour


@pytest.mark.parametrize("rate", [2.0, 20.0, 60.0])
def test_a_model_that_it_was_not_fitted_on_gets_the_stricter_bound_of_a_quarter_of_the_rate(rate: float) -> None:
    judges = [read_judge(Path(GuardConfig().weights), part) for part in (PLAIN, ADAPTED)]
    evidence = guard().evidence
    config = GuardConfig(max_false_accepts_per_hour=rate)
    assert Guard(config, evidence).bound == judges[0].bound(rate)
    cautious = dataclasses.replace(config, cautious=True)
    strict = max(judge.bound(max(rate / 4, judge.bounds[0][0])) for judge in judges)
    assert [Guard(cautious, evidence, adapted).bound for adapted in (False, True)] == [strict, strict]
    assert Guard(GuardConfig(bound=-1.0, cautious=True), evidence).bound == -1.0


def test_a_calibration_says_what_is_doubted(tmp_path: Path) -> None:
    evidence, path = guard().evidence, written(tmp_path / "own.json", doubt=-0.25)
    assert Guard(GuardConfig(doubts=True, bound=0.0), evidence).doubted == DOUBT
    assert Guard(GuardConfig(doubts=True, bound=0.0, weights=str(path)), evidence).doubted == -0.25


def test_letters_that_it_was_not_fitted_on_get_the_strictest_bound() -> None:
    letters = letter_pronouncer(LETTERS)
    evidence = Evidence(GuardConfig(), LETTERS, None, letters, ListPronouncer(letters))
    tables = [read_judge(Path(GuardConfig().weights), part).bounds for part in (PLAIN, ADAPTED)]
    assert Guard(GuardConfig(cautious=True), evidence).bound == max(bound for table in tables for _, bound in table)
    assert Guard(GuardConfig(), evidence).bound == read_judge(Path(GuardConfig().weights)).bound(20.0)
