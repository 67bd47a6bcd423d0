"""Which letters a model hears, by its tokens alone: what loads them beside a network and what decodes agree on it."""

import dataclasses

from pipeline.errors import ConfigError
from pipeline.lexicon.letters import LetterPronouncer, letter_units
from pipeline.lexicon.phones import MOST_UNITS, Units
from pipeline.types.tokens import WORD_START, Tokens


@dataclasses.dataclass(frozen=True)
class Columns:
    """Letters as columns: the units, the id of each letter's piece, and the ids of what is silence."""

    units: Units
    letters: tuple[int, ...]
    silent: tuple[int, ...]


def columns_of(tokens: Tokens) -> Columns:
    """Return the letters that a model hears; raises ConfigError for subwords, and for more letters than MOST_UNITS."""
    longer = [piece for piece in tokens.pieces if len(piece.lstrip(WORD_START)) > 1]
    if longer:
        raise ConfigError(
            f"acoustic.phones: letters is for models that write letters; this one writes subwords such as "
            f"'{longer[0]}'. Set it to null."
        )
    known = {piece: id_ for id_, piece in reversed(list(enumerate(tokens.pieces))) if piece}
    letters = [letter for letter in (*tokens.alphabet.letters, "'") if letter in known]
    if len(letters) > MOST_UNITS:
        raise ConfigError(
            f"acoustic.phones: letters takes at most {MOST_UNITS} letters, the model writes {len(letters)}; set it to "
            "null."
        )
    silent = [tokens.blank, *([known[WORD_START]] if WORD_START in known else [])]
    return Columns(letter_units(letters), tuple(known[letter] for letter in letters), tuple(silent))


def letter_pronouncer(tokens: Tokens) -> LetterPronouncer:
    """Return what says everything in the letters of a model; raises ConfigError as ``columns_of`` does."""
    return LetterPronouncer(columns_of(tokens).units, tokens.alphabet)
