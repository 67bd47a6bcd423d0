"""How a name lies among the words of the first pass: a part of a word is told from the word."""

import numpy as np
import pytest

from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig, ShortlistConfig
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.phonetic import Phonetic
from pipeline.retrieval.placed import MOST, MOST_THROUGH, PLACED, placed
from pipeline.retrieval.spelling_index import build_spellings, subword_gaps
from pipeline.types.emissions import Emissions
from pipeline.types.entity import Entity, EntityList
from tests.support.sparse import sparsify
from tests.support.speech import spoken

TOKENS = load_tokens(AcousticConfig())
PHONETIC = Phonetic(ShortlistConfig(), Pronouncer())
PHONES = "W IY - M EH T - N IH L S AH N -"


def heard(text: str, rate: float = 1.0) -> Emissions:
    """The subwords of it in every second frame, the phones of "we met nilsson" beside them."""
    phones = np.repeat(spoken(PHONES), 2, axis=0)
    rows = np.full((len(phones), len(TOKENS.pieces)), -9.0, np.float32)
    rows[:, TOKENS.blank] = -0.01
    for at, token in enumerate(TOKENS.encoder(text)):
        rows[2 * at, token], rows[2 * at, TOKENS.blank] = -0.01, -9.0
    return Emissions(sparsify(rows, 32), np.repeat(phones, int(rate), axis=0).astype(np.float16), phone_rate=rate)


def measured(emissions: Emissions, *entities: Entity) -> list[dict[str, float]]:
    listed = EntityList(entities)
    index = PHONETIC.compile(listed)
    gaps = subword_gaps(emissions.tokens, len(TOKENS.pieces))
    said = build_spellings(entities, TOKENS).spelled(gaps, np.arange(len(entities), dtype=np.int32), TOKENS.blank)
    first = np.searchsorted(index.owned(np.arange(len(index.lengths), dtype=np.int32))[1], np.arange(len(entities)))
    columns = placed(emissions, TOKENS, said, PHONETIC, index, first.astype(np.int32))
    return [dict(zip(PLACED, row, strict=True)) for row in np.stack(columns, 1).tolist()]


@pytest.mark.parametrize(
    ("name", "begins", "ends"),
    [("met", 1, 1), ("we met", 1, 1), ("we", 1, 1), ("nil", 1, 0)],
)
def test_words_begin_and_end_where_the_first_pass_says(name: str, begins: int, ends: int) -> None:
    (found,) = measured(heard("we met nilsson"), Entity(name, name))
    assert (found["begins"], found["ends"]) == (begins, ends)


def test_an_utterance_ends_a_word() -> None:
    (found,) = measured(heard("we met nil"), Entity("nil", "nil"))
    assert (found["begins"], found["ends"]) == (1, 1)


def test_all_that_is_heard_there_must_be_said() -> None:
    short, long = measured(
        heard("met"), Entity("met", "met"), Entity("metro", "metro", pronunciations=("M EH T R OW",))
    )
    assert short["through_per_phone"] < MOST[-1]
    assert short["through"] < long["through"] <= MOST_THROUGH


def test_phones_have_a_clock_of_their_own() -> None:
    one, two = (measured(heard("we met nilsson", rate), Entity("met", "met"))[0] for rate in (1.0, 2.0))
    assert one["through"] == pytest.approx(two["through"], abs=6.0)
    assert (one["begins"], one["ends"]) == (two["begins"], two["ends"])


def test_what_no_subwords_spell_lies_nowhere() -> None:
    entity = Entity("42", "42", pronunciations=("M EH T",))
    (found,) = measured(heard("we met"), entity)
    assert found == {name: limit if "through" in name else 0.0 for name, limit in zip(PLACED, MOST, strict=True)}


def test_nothing_is_free_from_one_frame_to_another() -> None:
    listed = EntityList((Entity("met", "met", pronunciations=("M EH T",)),))
    index, phones = PHONETIC.compile(listed), spoken("M EH T N IH").astype(np.float16)
    zero = np.zeros(3, np.int32)
    costs = PHONETIC.through(phones, index, zero, np.array([0, 0, 4]), np.array([3, 5, 4]))
    assert costs[0] == pytest.approx(0.0, abs=0.1)
    assert costs[1] == pytest.approx(2 * ShortlistConfig().insert, abs=0.5)  # "N IH" are left out
    assert costs[2] == 3 * ShortlistConfig().drop  # no slot, so no phone is heard
