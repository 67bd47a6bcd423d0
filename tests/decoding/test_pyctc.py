import dataclasses
import gzip

import pytest

from pipeline.config import BeamConfig, HotwordsConfig, LanguageModelConfig, RunConfig
from pipeline.decoding.build import build_decoder
from pipeline.decoding.language_model import load_language_model
from pipeline.errors import ConfigError, ModelError
from pipeline.types.entity import EMPTY, Entity, EntityList
from tests.support.inventory import CHARACTERS, LETTERS, PIECES, TOKENS, emissions_of, spell, write_arpa


@pytest.fixture
def config(tmp_path):
    return RunConfig(
        beam=BeamConfig(width=16, prune_log_prob=-12.0, token_min_log_prob=-6.0, decoder="pyctcdecode"),
        language_model=LanguageModelConfig(path=str(write_arpa(tmp_path)), unigrams=None, unknown_penalty=-1.0),
        hotwords=HotwordsConfig(),
    )


def test_words_come_with_times_scores_and_confidence(config):
    [best, *_] = build_decoder(config, TOKENS).decode(emissions_of(spell(["▁the", "▁cat", "s"])), EMPTY)
    assert best.text == "the cats"
    assert [(word.start_frame, word.end_frame) for word in best.words] == [(0, 1), (2, 5)]
    assert best.words[0].confidence == pytest.approx(0.99, abs=0.001)
    assert best.total == pytest.approx(best.acoustic + best.lm + best.boost, abs=1e-4)


def test_a_lone_mark_begins_one_word_and_breaks_no_other(config):
    path = spell(["▁the", "▁", "c", "a", "t", "s"])
    nbest = build_decoder(config, TOKENS).decode(emissions_of(path), EMPTY)
    assert nbest[0].text == "the cats"
    assert "the cat s" not in [one.text for one in nbest]


def test_character_models_split_words_at_their_delimiter(config):
    path = [LETTERS.index(c) for c in "the▁cat"]
    best = build_decoder(config, CHARACTERS).decode(emissions_of(path, len(LETTERS)), EMPTY)[0]
    assert best.text == "the cat"


def test_an_empty_list_is_the_unbiased_output(config):
    emissions = emissions_of(spell(["▁a", "n", "▁cat"]), probability=0.5)
    unbiased = build_decoder(dataclasses.replace(config, hotwords=None), TOKENS).decode(emissions, EMPTY)
    assert build_decoder(config, TOKENS).decode(emissions, EMPTY) == unbiased


def test_hotwords_pull_a_list_word_in_and_report_its_span(config):
    emissions = emissions_of(spell(["▁the", "▁a", "n"]), probability=0.5)
    entities = EntityList((Entity("cats", "Cats", weight=0.0), Entity("new york", "New York")))
    decoder = build_decoder(config, TOKENS)
    best = decoder.decode(emissions_of(spell(["▁the", "▁new", "▁", "york"])), entities)[0]
    assert [(span.entity, span.start_word, span.end_word) for span in best.entities] == [("new york", 1, 3)]
    assert best.boost == 2 * HotwordsConfig().weight
    assert decoder.decode(emissions, EntityList((Entity("cats", "Cats", weight=0.0),)))[0].boost == 0.0


def test_greedy_collapses_repeats_and_blanks():
    path = spell(["▁the", "▁cat"])
    decoder = build_decoder(RunConfig(beam=BeamConfig(decoder="greedy")), TOKENS)
    [best] = decoder.decode(emissions_of([path[0], 0, path[1]]), EMPTY)
    assert best.text == "the cat"
    assert best.words[1].start_frame == 4
    assert len(PIECES) == len(set(PIECES))


def test_silence_is_one_hypothesis_with_no_words(config):
    for name in ("greedy", "pyctcdecode"):
        decoder = build_decoder(dataclasses.replace(config, beam=BeamConfig(decoder=name)), TOKENS)
        assert decoder.decode(emissions_of([0, 0]), EMPTY)[0].text == ""
        assert decoder.decode(emissions_of([]), EMPTY)[0].words == ()


def test_an_unknown_decoder_is_refused(config):
    with pytest.raises(ConfigError, match=r"beam\.decoder must be one of"):
        build_decoder(dataclasses.replace(config, beam=BeamConfig(decoder="magic")), TOKENS)


def test_a_missing_or_damaged_language_model_is_a_clear_error(tmp_path):
    with pytest.raises(ModelError, match=r"does not exist; set language_model\.path"):
        load_language_model(LanguageModelConfig(path=str(tmp_path / "no.arpa"), unigrams=None))
    damaged = tmp_path / "damaged.binary"
    damaged.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0" + b"x" * 50)
    with pytest.raises(ModelError, match="or it is damaged"):
        load_language_model(LanguageModelConfig(path=str(damaged), unigrams=None))
    arpa = write_arpa(tmp_path)
    arpa.write_text(arpa.read_text()[:150])
    with pytest.raises(ModelError, match="or it is damaged"):
        load_language_model(LanguageModelConfig(path=str(arpa), unigrams=None))


def test_the_words_come_from_the_list_or_from_the_arpa(tmp_path):
    arpa = write_arpa(tmp_path)
    assert load_language_model(LanguageModelConfig(str(arpa), None)).words == {"the", "cat", "a", "new"}
    words = tmp_path / "words.txt.gz"
    words.write_bytes(gzip.compress(b"the\ncat\n"))
    assert load_language_model(LanguageModelConfig(str(arpa), str(words))).words == {"the", "cat"}
    words.write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(ModelError, match="is not UTF-8 text"):
        load_language_model(LanguageModelConfig(str(arpa), str(words)))
    words.write_bytes(b"dog\n")
    with pytest.raises(ModelError, match="none of its 1 words"):
        load_language_model(LanguageModelConfig(str(arpa), str(words)))
