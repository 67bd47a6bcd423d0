"""The letters of a run: noted in its run.json, for whoever reads its texts."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import InputError
from pipeline.runs.folder import RunFolder
from pipeline.text import ENGLISH, Alphabet, with_letters

KEY = "alphabet"
"""Of run.json; runs of earlier versions have none, and are English."""


def alphabet_of_record(record: Mapping[str, Any] | None) -> Alphabet:
    """Return the alphabet that a run.json notes; raises InputError if it is none."""
    letters = (record or {}).get(KEY)
    if letters is None:
        return ENGLISH
    try:
        return with_letters(letters)
    except (TypeError, ValueError) as error:
        raise InputError(f"run.json: '{KEY}' is broken ({error}); name the letters with --alphabet.") from error


def alphabet_of_run(run: RunFolder | None) -> Alphabet:
    """Return the alphabet of a run; of texts that belong to none, English."""
    return ENGLISH if run is None else alphabet_of_record(run.read_record())


def joined(first: Alphabet, second: Alphabet) -> Alphabet:
    """Return the alphabet of the letters of both."""
    return first if first == second else with_letters("".join(sorted(set(first.letters + second.letters))))
