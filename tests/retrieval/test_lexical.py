"""Names whose letters stand together in what the first pass writes, whatever else is on the list."""

import dataclasses

import numpy as np
import pytest

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, LexicalConfig, RunConfig, joint, override
from pipeline.config.fingerprint import config_fingerprint
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.lexical import Lexical, written
from pipeline.retrieval.shortlist import build_shortlister
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

TOKENS = load_tokens(AcousticConfig())
OTHERS = ("gorbachev", "thatcher", "vancomycin", "met", "wemet", "ann", "nil")


@pytest.fixture(scope="module")
def lexical() -> Lexical:
    return Lexical(LexicalConfig(), TOKENS)


def heard(text: str, has_phones: bool = True) -> Emissions:
    """Each subword of the text for a frame, a blank after it; the phones are of something else."""
    ids = [each for token in TOKENS.encoder(text) for each in (token, TOKENS.blank)]
    rows = np.full((len(ids), len(TOKENS.pieces)), -9.0, np.float32)
    rows[np.arange(len(ids)), ids] = -0.01
    phones = spoken("- T AH - " * (len(ids) // 4 + 1))[: len(ids)].astype(np.float16)
    return Emissions(sparsify(rows, 8), phones if has_phones else None)


def listed(*names: str) -> EntityList:
    return EntityList(tuple(Entity(name, name) for name in sorted(names)))


def found(lexical: Lexical, text: str, entities: EntityList) -> list[str]:
    indices = lexical.select(heard(text), entities)
    assert indices is not None
    return [entities.entities[at].text for at in indices.tolist()]


def test_what_the_first_pass_writes(lexical: Lexical) -> None:
    assert written(heard("we met nilsson").tokens, TOKENS) == "we met nilsson"


@pytest.mark.parametrize("text", ["we met nilsson", "we met nil son there", "then nillsson came", "we met anilsson"])
def test_a_name_that_is_nearly_written_is_found(lexical: Lexical, text: str) -> None:
    assert "nilsson" in found(lexical, text, listed("nilsson", *OTHERS))
    assert not {"gorbachev", "thatcher", "vancomycin"} & set(found(lexical, text, listed("nilsson", *OTHERS)))


def test_groups_of_letters_must_stand_together(lexical: Lexical) -> None:
    name = listed("elisabeth schwarzkopf")
    assert found(lexical, "elisabeth schwarz said", name) == ["elisabeth schwarzkopf"]
    far = "elisabeth went to the market and bought some bread and then at last she met schwarzkopf"
    assert "vancomycin" not in found(lexical, far, listed("vancomycin"))
    strict = Lexical(LexicalConfig(bound=0.8), TOKENS)
    assert found(strict, far, name) == []


def test_aliases_are_spellings_and_what_is_too_short_has_no_groups(lexical: Lexical) -> None:
    entities = EntityList((Entity("bbc", "BBC", aliases=("british broadcasting",)), Entity("ox", "Ox")))
    assert found(lexical, "the british broadcasting service", entities) == ["bbc"]
    assert found(lexical, "the ox went home", entities) == []


def test_a_list_entry_is_found_or_not_whatever_else_is_listed(lexical: Lexical) -> None:
    text = "then nillsson met gorbachef"
    together = found(lexical, text, listed("nilsson", "gorbachev", "thatcher"))
    apart = [name for one in ("gorbachev", "nilsson", "thatcher") for name in found(lexical, text, listed(one))]
    assert together == apart == ["gorbachev", "nilsson"]


def test_without_phones_it_does_not_choose_alone(lexical: Lexical) -> None:
    assert lexical.select(heard("we met nilsson", has_phones=False), listed("nilsson")) is None


def test_the_union_goes_on_and_says_who_found_what() -> None:
    config = override(joint(), {"lexical": {"bound": 0.5}})
    shortlist = build_shortlister(config, Pronouncer(), TOKENS).shortlist(
        heard("we met nilsson"), listed("nilsson", "gorbachev")
    )
    assert [(one.text, shortlist.strategies_of(one.text)) for one in shortlist.entities.entities] == [
        ("nilsson", ("lexical",))
    ]


def test_off_it_leaves_the_fingerprint_what_it_was() -> None:
    assert joint().lexical is None
    off = RunConfig()
    on = dataclasses.replace(off, lexical=LexicalConfig())
    assert config_fingerprint(on) != config_fingerprint(off)
    assert config_fingerprint(on) != config_fingerprint(dataclasses.replace(on, lexical=LexicalConfig(bound=0.6)))
