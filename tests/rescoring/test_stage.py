import dataclasses
from pathlib import Path

import pytest

from pipeline.config import PARTS, AdapterConfig, G2gConfig, GuardConfig, LexiconConfig, RescoringConfig, RunConfig
from pipeline.errors import ModelError
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.stage import TECHNIQUES, RescoringStage, build_stage, is_used
from pipeline.rescoring.technique import Sounds
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.hypothesis import EntitySpan
from tests.support.inventory import CHARACTERS
from tests.support.speech import hypothesis, said

MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
NAMES = EntityList((Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),))
EVERYTHING = RunConfig(language_model=None, rescoring=RescoringConfig(), lexicon=LexiconConfig(), g2g=G2gConfig())


def stage_of(config: RunConfig) -> RescoringStage:
    pronouncer = Pronouncer()
    return build_stage(config, CHARACTERS, Sounds(pronouncer, ListPronouncer(pronouncer), pronouncer.knows))


@pytest.fixture(scope="module")
def stage() -> RescoringStage:
    return stage_of(EVERYTHING)


def test_the_stage_is_used_where_any_part_of_it_is_on() -> None:
    assert not is_used(RunConfig(phone_fusion=None))
    assert not is_used(RunConfig(phone_fusion=None, adapter=AdapterConfig()))
    for kind in TECHNIQUES:
        assert PARTS[kind.part].pronounces
        assert is_used(dataclasses.replace(RunConfig(phone_fusion=None), **{kind.part: PARTS[kind.part]()}))
    assert is_used(RunConfig(phone_fusion=None, guard=GuardConfig()))


def test_without_techniques_everything_stays_as_the_search_found_it() -> None:
    given = [hypothesis("met the lens key today", -10.0), hypothesis("met the lance key today", -10.5)]
    assert RescoringStage(()).finish(given, said(MET), NAMES) == given
    assert RescoringStage(()).expand(NAMES) is NAMES


def test_an_empty_list_leaves_only_the_fusion_of_the_two_heads(stage: RescoringStage) -> None:
    given = [hypothesis("met the lens key today", -10.0), hypothesis("met the lance key today", -10.5)]
    alone = stage_of(RunConfig())
    assert stage.finish(given, said(MET), EMPTY) == alone.finish(given, said(MET), EMPTY)
    assert stage.expand(EMPTY) == EMPTY


def test_lexicon_finds_the_name_that_the_search_missed(stage: RescoringStage) -> None:
    found = stage.finish([hypothesis("met the lens key today", -10.0)], said(MET), NAMES)
    assert [one.text for one in found] == ["met zelensky today", "met the lens key today"]


def test_variant_and_canonical_form_become_one_hypothesis(stage: RescoringStage) -> None:
    assert "zelenski" in stage.expand(NAMES).by_text
    by_ear = hypothesis("met zelenski today", -10.0)
    by_ear = type(by_ear)(by_ear.words, -10.0, 0.0, 0.0, -10.0, (EntitySpan("zelensky", 1, 2),))
    found = stage.finish([by_ear, hypothesis("met zelensky today", -11.0, "zelensky")], said(MET), NAMES)
    assert [one.text for one in found] == ["met zelensky today"]
    assert "g2g" in found[0].entities[0].techniques


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a pronunciation dictionary"):
        Pronouncer(tmp_path)
    with pytest.raises(ModelError, match="not the guard's weights"):
        stage_of(dataclasses.replace(EVERYTHING, guard=GuardConfig(weights=str(tmp_path / "none.json"))))
