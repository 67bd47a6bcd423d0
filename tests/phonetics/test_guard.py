import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.acoustic.tokens import WORD_START, Tokens
from pipeline.config import GuardConfig
from pipeline.decoding.interface import Hypothesis
from pipeline.entities.catalog import Entity, EntityList
from pipeline.errors import ConfigError, ModelError
from pipeline.phonetics.evidence import FEATURES, Evidence
from pipeline.phonetics.guard import ADAPTED, PLAIN, Guard, guarded, read_weights
from pipeline.phonetics.pronunciation import ListPronouncer, Pronouncer
from pipeline.phonetics.proposals import differences
from tests.phonetics.speech import hypothesis, said

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


def test_no_phone_head_no_scene() -> None:
    silent = type(said(MET))(said(MET).tokens)
    assert guard().evidence.scene(UNBIASED[0], silent, NAMES) is None


def written(path: Path, **changed: object) -> Path:
    content = {"weights": dict.fromkeys(FEATURES, 0.5), "bias": -1.0, "bounds": [[20, 1.5], [2, 4.0], [60, 0.25]]}
    path.write_text(json.dumps({"plain": content | changed, "adapted": content | {"bounds": [[20, 9.0]]}}))
    return path


def test_the_rate_chooses_the_bound(tmp_path: Path) -> None:
    weights = read_weights(written(tmp_path / "guard.json"))
    assert [weights.bound(rate) for rate in (2, 19, 20, 30, 1000)] == [4.0, 4.0, 1.5, 1.5, 0.25]
    with pytest.raises(ConfigError, match=r"at least 2, got 1\.5"):
        weights.bound(1.5)
    assert read_weights(tmp_path / "guard.json", ADAPTED).bound(20) == 9.0


def test_damaged_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not the guard's weights"):
        read_weights(tmp_path / "none.json")
    with pytest.raises(ModelError, match="'gain'"):
        read_weights(written(tmp_path / "other.json", weights={"loudness": 1.0}))


@pytest.mark.parametrize("part", [PLAIN, ADAPTED])
def test_the_shipped_weights_have_bounds_for_a_range_of_rates(part: str) -> None:
    weights = read_weights(Path(GuardConfig().weights), part)
    assert np.isfinite(weights.weights).all()
    bounds = [bound for _, bound in weights.bounds]
    assert len(bounds) > 3
    assert bounds == sorted(bounds, reverse=True)
    assert weights.bounds[0][0] <= GuardConfig().max_false_accepts_per_hour
