from pathlib import Path

import pytest

from pipeline.config import G2gConfig, LexiconConfig, RescoringConfig, RunConfig
from pipeline.errors import ModelError
from pipeline.rescoring.stage import PhoneticPass, build_phonetics
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.hypothesis import EntitySpan
from tests.support.speech import hypothesis, said

MET = "M M EH - T T Z Z EH L EH N N S K - IY T T AH D EY EY - -"
NAMES = EntityList((Entity("zelensky", "Zelenskyy", pronunciations=("Z EH L EH N S K IY",)),))
EVERYTHING = RunConfig(language_model=None, rescoring=RescoringConfig(), lexicon=LexiconConfig(), g2g=G2gConfig())


@pytest.fixture(scope="module")
def phonetics() -> PhoneticPass:
    return PhoneticPass(EVERYTHING)


def test_off_is_none() -> None:
    assert build_phonetics(RunConfig(phone_fusion=None)) is None


def test_an_empty_list_leaves_only_the_fusion_of_the_two_heads(phonetics: PhoneticPass) -> None:
    given = [hypothesis("met the lens key today", -10.0), hypothesis("met the lance key today", -10.5)]
    alone = build_phonetics(RunConfig())
    assert alone is not None
    assert phonetics.finish(given, said(MET), EMPTY) == alone.finish(given, said(MET), EMPTY)
    assert phonetics.searched(EMPTY) == EMPTY


def test_lexicon_finds_the_name_that_the_search_missed(phonetics: PhoneticPass) -> None:
    found = phonetics.finish([hypothesis("met the lens key today", -10.0)], said(MET), NAMES)
    assert [one.text for one in found] == ["met zelensky today", "met the lens key today"]


def test_variant_and_canonical_form_become_one_hypothesis(phonetics: PhoneticPass) -> None:
    assert "zelenski" in phonetics.searched(NAMES).by_text
    by_ear = hypothesis("met zelenski today", -10.0)
    by_ear = type(by_ear)(by_ear.words, -10.0, 0.0, 0.0, -10.0, (EntitySpan("zelensky", 1, 2),))
    found = phonetics.finish([by_ear, hypothesis("met zelensky today", -11.0, "zelensky")], said(MET), NAMES)
    assert [one.text for one in found] == ["met zelensky today"]
    assert "g2g" in found[0].entities[0].techniques


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a pronunciation dictionary"):
        PhoneticPass(EVERYTHING, tmp_path)
