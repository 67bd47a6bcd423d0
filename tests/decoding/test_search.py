"""The search against brute force over every alignment, and what boosting must and must not do."""

import dataclasses
import itertools

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import (
    BOLD,
    BOLD_CLASS,
    AdapterConfig,
    BeamConfig,
    BoostClassConfig,
    BoostingConfig,
    GuardConfig,
    HotwordsConfig,
    LanguageModelConfig,
    RunConfig,
    without,
)
from pipeline.decoding.build import build_decoder
from pipeline.entities.lists import EntitySource
from pipeline.errors import ConfigError
from pipeline.recognition.transcribe import Transcriber
from pipeline.rescoring.stage import build_stage
from pipeline.retrieval.shortlist import Shortlister
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import EMPTY, Entity, EntityList
from pipeline.types.tokens import Tokens
from tests.support.hearing import sounds
from tests.support.inventory import CHARACTERS, LETTERS, TOKENS, emissions_of, spell, write_arpa

SMALL = Tokens(("", "▁", "▁a", "b", "ab"), 0, lambda text: [], lambda text, count: [])
UNLIMITED = BeamConfig(
    width=3000, prune_log_prob=-float("inf"), token_min_log_prob=-float("inf"), n_best=10_000, decoder="rollcall"
)
EVERYTHING = RunConfig(beam=UNLIMITED, language_model=None)


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    return write_arpa(tmp_path_factory.mktemp("lm"))


def random_emissions(seed, frames, size):
    """Random logits, every token kept."""
    logits = np.random.default_rng(seed).normal(size=(frames, size)) * 2
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    ids = np.argsort(-log_probs, axis=1, kind="stable").astype(np.int16)
    return SparseLogProbs(ids, np.take_along_axis(log_probs, ids.astype(int), axis=1).astype(np.float32))


def brute_force(emissions, tokens):
    """Text to log-probability: the sum over all V^T alignments."""
    size = len(tokens.pieces)
    dense, result = emissions.dense(size).astype(float), {}
    for path in itertools.product(range(size), repeat=emissions.frames):
        text = " ".join(tokens.decode([token for token, _ in itertools.groupby(path)]).split())
        score = sum(dense[frame, token] for frame, token in enumerate(path))
        result[text] = np.logaddexp(result.get(text, -np.inf), score)
    return result


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_an_unlimited_beam_finds_every_text_with_its_exact_probability(seed, frames):
    emissions = random_emissions(seed, frames, 5)
    found = {one.text: one.acoustic for one in build_decoder(EVERYTHING, SMALL).decode(emissions, EMPTY)}
    wanted = brute_force(emissions, SMALL)
    assert found.keys() == wanted.keys()
    assert max(abs(found[text] - wanted[text]) for text in wanted) < 1e-5


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_language_model_scores_are_kenlms(arpa, seed):
    lm = LanguageModelConfig(str(arpa), None, alpha=0.7, beta=0.4, unknown_penalty=-3.0)
    decoder = build_decoder(dataclasses.replace(EVERYTHING, language_model=lm), CHARACTERS)
    path = [LETTERS.index(letter) for letter in "the▁cat▁a▁new▁the"]
    emissions = emissions_of(np.random.default_rng(seed).permutation(path)[:4], len(LETTERS), 0.5)
    model = kenlm.Model(str(arpa))
    for one in decoder.decode(SparseLogProbs(emissions.ids[:3, :6], emissions.values[:3, :6]), EMPTY):
        unknown = sum(word.text not in model for word in one.words)
        log10 = model.score(one.text) + unknown * lm.unknown_penalty
        assert one.lm == pytest.approx(lm.alpha * np.log(10) * log10 + lm.beta * len(one.words), abs=1e-4)
        assert one.total == pytest.approx(one.acoustic + one.lm + one.boost, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_fixed_bonus_adds_exactly_its_amount_to_texts_with_the_entity(seed):
    emissions = random_emissions(seed, 4, 5)
    config = dataclasses.replace(EVERYTHING, boosting=BoostingConfig(fixed=1.5, explain=False))
    entities = EntityList((Entity("ab", "Ab"),))
    found = build_decoder(config, SMALL).decode(emissions, entities)
    wanted = brute_force(emissions, SMALL)
    for one in found:
        assert one.acoustic == pytest.approx(wanted[one.text], abs=1e-5)
        # Each "ab" is one or two tokens, by its most probable segmentation.
        times = one.text.split().count("ab")
        assert (one.boost == 0.0) if times == 0 else (1.5 * times <= one.boost <= 3.0 * times)


STRONG = BoostingConfig(scale=0.9, cap=8.0, max_gap=10.0, entry_cap=4.0, complete=1.0)
BIASED = RunConfig(
    beam=BeamConfig(width=32, prune_log_prob=-12.0, token_min_log_prob=-6.0, decoder="rollcall"),
    language_model=None,
    boosting=STRONG,
    boost_class=BoostClassConfig(),
)


def listed(*texts, weight=1.0):
    return EntityList(tuple(Entity(text, text.title(), weight=weight) for text in sorted(texts)))


def torn(first, second, probability=0.2):
    """Emissions of ``first`` that are torn between its tokens and those of ``second`` (same length)."""
    emissions = emissions_of(first, len(LETTERS), 0.98)
    values, ids = emissions.values.copy(), emissions.ids.copy()
    for step, other in enumerate(second):
        if first[step] != other:
            column = int(np.flatnonzero(ids[2 * step] == other)[0])
            ids[2 * step, 1], ids[2 * step, column] = other, ids[2 * step, 1]
            values[2 * step, :2] = np.log(0.98 - probability), np.log(probability)
    return SparseLogProbs(ids, values)


def letters(text):
    return [LETTERS.index(letter) for letter in text.replace(" ", "▁")]


def decode(emissions, entities, config=BIASED, tokens=CHARACTERS):
    return build_decoder(config, tokens).decode(emissions, entities)


def test_the_search_goes_further_only_where_a_guard_judges():
    emissions = torn(letters("call cat now"), letters("call kat now"))
    config = dataclasses.replace(BIASED, boosting=BOLD, boost_class=BOLD_CLASS, guard=GuardConfig())
    decoder = build_decoder(config, CHARACTERS)
    assert decoder.decode(emissions, listed("kat"))[0].text == "call cat now"
    assert decoder.decode(emissions, listed("kat"), judged=True)[0].text == "call kat now"
    assert decode(emissions, listed("kat"), without(config, "guard")) == decoder.decode(emissions, listed("kat"))
    off = build_decoder(dataclasses.replace(config, boosting=None, boost_class=None), CHARACTERS)
    assert off.decode(emissions, listed("kat"), judged=True)[0].text == "call cat now"
    stage = build_stage(config, CHARACTERS, sounds())
    transcriber = Transcriber(decoder, EntitySource(), "", stage, Shortlister())
    without_phones = transcriber.hypotheses(Emissions(emissions, None), listed("kat"))
    assert without_phones[0][0].text == "call cat now"


def test_a_torn_name_is_taken_from_the_list_and_explained():
    emissions = torn(letters("call cat now"), letters("call kat now"))
    assert decode(emissions, EMPTY)[0].text == "call cat now"
    best = decode(emissions, listed("kat"))[0]
    assert best.text == "call kat now"
    [span] = best.entities
    assert (span.entity, span.start_word, span.end_word) == ("kat", 1, 2)
    assert (span.techniques, span.alternative) == (("boosting",), "cat")
    assert span.boost == pytest.approx(best.boost)
    assert best.total == pytest.approx(best.acoustic + best.lm + best.boost)
    assert [word.start_frame for word in best.words] == [0, 10, 18]


@pytest.mark.parametrize("entity", ["katalog", "at", "now here", "all kat"])
def test_nothing_fires_for_entities_that_are_not_there_as_whole_words(entity):
    emissions = torn(letters("call cat now"), letters("call kat now"))
    unbiased, biased = decode(emissions, EMPTY)[0], decode(emissions, listed(entity))[0]
    assert (biased.text, biased.boost) == (unbiased.text, 0.0)
    assert biased.total == pytest.approx(unbiased.total, abs=0.01)  # other paths survived and add their mass


def test_phrases_overlap_and_the_inner_entity_keeps_its_share():
    emissions = torn(letters("new work times"), letters("new york times"))
    for entities in (listed("new york"), listed("york"), listed("new york city", "york"), listed("york times")):
        best = decode(emissions, entities)[0]
        assert best.text == "new york times"
        assert best.boost > 0
        assert decode(emissions, entities)[0].entities[0].techniques == ("boosting",)


def test_being_listed_costs_a_word_nothing():
    emissions = emissions_of(letters("call cat now"), len(LETTERS), 0.9)
    config = dataclasses.replace(BIASED, boosting=dataclasses.replace(STRONG, complete=-9.0))
    unbiased, biased = decode(emissions, EMPTY)[0], decode(emissions, listed("cat"), config)[0]
    assert (biased.text, biased.boost) == (unbiased.text, 0.0)
    assert biased.total == pytest.approx(unbiased.total, abs=0.05)


def test_behind_an_adapter_completing_costs_more_unless_a_guard_judges():
    emissions = torn(letters("call cat now"), letters("call kat now"))
    alone = decode(emissions, listed("kat"))[0].boost
    behind = dataclasses.replace(BIASED, adapter=AdapterConfig(caution=0.25))
    assert decode(emissions, listed("kat"), behind)[0].boost == pytest.approx(alone - 0.25)
    guarded = build_decoder(dataclasses.replace(behind, guard=GuardConfig()), CHARACTERS)
    assert guarded.decode(emissions, listed("kat"), judged=True)[0].boost == pytest.approx(alone)


def test_negative_weights_suppress():
    emissions = torn(letters("call cat now"), letters("call kat now"), probability=0.4)
    best = decode(emissions, listed("cat", weight=-1.0))[0]
    assert best.text == "call kat now"
    assert best.boost == 0.0


def test_an_alias_is_boosted_and_reported_as_its_entity():
    emissions = torn(letters("call cat now"), letters("call kat now"))
    best = decode(emissions, EntityList((Entity("katherine", "Katherine", aliases=("kat",)),)))[0]
    assert [span.entity for span in best.entities] == ["katherine"]


def test_any_segmentation_of_a_name_is_boosted():
    for path in (["▁a", "n", "n"], ["▁", "ann"], ["▁", "a", "n", "n"]):
        emissions = emissions_of(spell(path), probability=0.6)
        best = decode(emissions, listed("ann"), tokens=TOKENS)[0]
        assert best.entities
        assert best.boost >= 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_an_empty_list_and_zero_weights_do_no_harm(seed, frames):
    emissions = random_emissions(seed, frames, len(LETTERS))
    plain = decode(emissions, EMPTY, dataclasses.replace(BIASED, boosting=None, boost_class=None))
    assert decode(emissions, EMPTY) == plain
    assert decode(emissions, listed("cat", "new york", weight=0.0)) == plain


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_boosts_of_abandoned_entities_are_refunded(seed, frames):
    """Without a completed entity in a text, its score is what the acoustics and the language model say."""
    emissions = random_emissions(seed, frames, len(LETTERS))
    for one in decode(emissions, listed("ab", "cat", "e f", "zz")):
        assert one.boost >= 0
        assert one.boost == 0 or any(f" {text} " in f" {one.text} " for text in ("ab", "cat", "e f", "zz"))
        assert one.total == pytest.approx(one.acoustic + one.lm + one.boost)


def test_class_scores_let_unknown_list_words_in(arpa):
    lm = LanguageModelConfig(str(arpa), None)
    of_class = BoostClassConfig(weight=-0.5, common=2)
    config = dataclasses.replace(BIASED, boosting=None, boost_class=of_class, language_model=lm)
    emissions = emissions_of(letters("the kat"), len(LETTERS), 0.9)
    assert decode(emissions, EMPTY, config)[0].text != "the kat"
    best = decode(emissions, listed("kat"), config)[0]
    assert best.text == "the kat"
    assert best.entities[0].techniques == ("boost_class",)


def test_the_same_input_gives_the_same_output_whatever_came_before():
    emissions = torn(letters("call cat now"), letters("call kat now"))
    decoder = build_decoder(BIASED, CHARACTERS)
    first = decoder.decode(emissions, listed("kat"))
    decoder.decode(random_emissions(1, 40, len(LETTERS)), listed("cat"))
    decoder.decode(emissions, EMPTY)
    assert decoder.decode(emissions, listed("kat")) == first


def test_techniques_of_another_decoder_are_refused(arpa):
    with pytest.raises(ConfigError, match="hotwords are pyctcdecode"):
        build_decoder(dataclasses.replace(BIASED, hotwords=HotwordsConfig()), TOKENS)
    with pytest.raises(ConfigError, match="need beam"):
        build_decoder(dataclasses.replace(BIASED, beam=BeamConfig(decoder="pyctcdecode")), TOKENS)
