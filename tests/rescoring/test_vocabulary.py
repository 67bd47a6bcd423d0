"""Words that the phones hear take the place of words that the search wrote, if its own score rises by it."""

import dataclasses

import pytest

from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.companion_files import with_vocabulary
from pipeline.config import LETTERS, AcousticConfig, LanguageModelConfig, PhoneFusionConfig, RunConfig, baseline
from pipeline.config.fingerprint import config_fingerprint
from pipeline.lexicon.pronunciation import ListPronouncer, Pronouncer
from pipeline.rescoring.technique import Sounds
from pipeline.rescoring.vocabulary import HeardWords
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.hypothesis import Hypothesis, Word
from tests.support.inventory import CHARACTERS
from tests.support.small_talk import CAT, spelled_and_said, write_model
from tests.support.speech import hypothesis

PRONOUNCER = Pronouncer()
SOUNDS = Sounds(PRONOUNCER, ListPronouncer(PRONOUNCER), PRONOUNCER.knows, CHARACTERS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModelConfig:
    return write_model(tmp_path_factory.mktemp("language_model"))


def heard(spelled: str) -> Emissions:
    return spelled_and_said(CAT, spelled)


def timed(text: str, *starts: int) -> Hypothesis:
    """A hypothesis whose words begin at these frames of CAT."""
    words = zip(text.split(), starts, (*starts[1:], len(CAT.split())), strict=True)
    return dataclasses.replace(hypothesis(text, -20.0), words=tuple(Word(*word, 0.5) for word in words))


def work(model: LanguageModelConfig | None, vocabulary: bool | None = True) -> HeardWords:
    return HeardWords(PhoneFusionConfig(vocabulary=vocabulary), SOUNDS, model, CHARACTERS)


def test_a_word_that_is_none_becomes_the_one_that_is_heard(model: LanguageModelConfig) -> None:
    given = [hypothesis("the kat met the king", -20.0), hypothesis("the cut met the king", -21.0)]
    found = work(model).order(given, heard("the kat met the king"), EMPTY)
    assert [one.text for one in found] == ["the cat met the king", "the cut met the king"]
    assert found[0].total > given[0].total
    assert [word.start_frame for word in found[0].words] == sorted(word.start_frame for word in found[0].words)


def test_two_words_become_the_one_that_is_heard(model: LanguageModelConfig) -> None:
    found = work(model).order(
        [timed("the cat met the kih ng", 0, 4, 8, 12, 16, 18)], heard("the cat met the king"), EMPTY
    )
    assert found[0].text == "the cat met the king"


def test_one_word_becomes_the_two_that_are_heard(model: LanguageModelConfig) -> None:
    found = work(model).order([timed("thecut met the king", 0, 8, 12, 16)], heard("the cat met the king"), EMPTY)
    assert found[0].text == "the cat met the king"
    assert [(word.start_frame, word.end_frame) for word in found[0].words] == sorted(
        (word.start_frame, word.end_frame) for word in found[0].words
    )


def test_words_without_room_for_their_letters_are_compared_by_the_rest(model: LanguageModelConfig) -> None:
    there, crowded = heard("the cat met the king"), timed("the kat met the king", 0, 4, 5, 6, 7)
    (found,) = work(model).order([crowded], there, EMPTY)
    assert crowded.total <= found.total < crowded.total + 100


def test_what_the_phones_agree_with_stays(model: LanguageModelConfig) -> None:
    given = [hypothesis("the cat met the king", -20.0), hypothesis("the cut met the king", -21.0)]
    assert work(model).order(given, heard("the cut met the king"), EMPTY) == given


def test_entities_stay(model: LanguageModelConfig) -> None:
    given = [hypothesis("the kat met the king", -20.0, "kat")]
    found = work(model).order(given, heard("the kat met the king"), EntityList((Entity("kat", "Kat"),)))
    assert found == given


def test_off_it_does_nothing(model: LanguageModelConfig) -> None:
    given, there = [hypothesis("the kat met the king", -20.0)], heard("the kat met the king")
    listless = dataclasses.replace(model, unigrams=None)
    for one in (work(model, None), work(model, False), work(None), work(listless)):
        assert one.order(given, there, EMPTY) == given
    assert work(model).order(given, dataclasses.replace(there, phone_log_probs=None), EMPTY) == given
    assert work(model).order([], there, EMPTY) == []


def beside(phones: str | None, vocabulary: bool | None = None) -> RunConfig:
    fusion = PhoneFusionConfig(vocabulary=vocabulary)
    return dataclasses.replace(baseline(), acoustic=AcousticConfig(phones=phones), phone_fusion=fusion)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (beside("models/base_en_ctc"), True),
        (beside("models/base_en_ctc", False), False),
        (beside(None), None),
        (beside(LETTERS), None),
    ],
)
def test_it_is_on_where_another_model_hears_the_phones(config: RunConfig, wanted: bool | None) -> None:
    fusion = with_vocabulary(config).phone_fusion
    assert fusion is not None
    assert fusion.vocabulary == wanted


def test_the_shipped_model_has_the_fingerprint_that_it_had() -> None:
    config = resolved(baseline())
    assert config.phone_fusion == PhoneFusionConfig()
    on = dataclasses.replace(config, phone_fusion=PhoneFusionConfig(vocabulary=True))
    assert config_fingerprint(on) != config_fingerprint(config)
