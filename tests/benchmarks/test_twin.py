"""The texts of the held-out twin of names_dev."""

import collections
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks.training_data import twin

_LETTERS = "bcdfghjklmnprstvwz"
_SYLLABLES = [a + b for a in _LETTERS for b in "aeiou"]
_WORDS = ["".join(parts) for parts in itertools.product(_SYLLABLES[:12], _SYLLABLES[20:32])]
_PEOPLE = {
    "xx": [f"An{word} Ber{word}" for word in _WORDS[:40]],
    "yy": [f"Cor{word} Dun{word}" for word in _WORDS[:40]],
}
_CITIES = [f"{word.title()}burg" for word in _WORDS]
_MEDICINES = [f"{word}mycin" for word in _WORDS]
_SIZES = {"people": 40, "cities": 60, "drugs": 120}


def _names(barred: tuple[str, ...] = ()) -> twin.Names:
    return twin.chosen(_PEOPLE, _CITIES, _MEDICINES, _SIZES, barred, 1)


def test_a_catalog_has_even_shares_and_nothing_that_is_barred() -> None:
    names = _names()
    assert [len(names.people), len(names.cities), len(names.medicines)] == [40, 60, 120]
    assert collections.Counter(name[:2] for name in names.people) == {"An": 20, "Co": 20}
    person = names.people[0].lower()
    for barred in (person, *person.split(), names.cities[0].lower(), names.medicines[0]):
        left = _names((barred,)).written()
        assert not any(barred == name or barred in name.split() for name in left)


def test_too_few_names_are_an_error() -> None:
    with pytest.raises(ValueError, match="41 names are left for medical, a list needs 100"):
        twin.chosen(_PEOPLE, _CITIES, _MEDICINES[:1], _SIZES, (), 1)


def test_utterances_follow_from_the_seed_and_their_names_stand_in_them_and_on_their_lists() -> None:
    told = list(twin.utterances(_names(), ["a", "b"], 76, 3))
    assert told == list(twin.utterances(_names(), ["a", "b"], 76, 3)) != list(twin.utterances(_names(), ["a"], 76, 3))
    assert collections.Counter(one.domain for one in told) == {"parliament": 38, "medical": 38}
    assert len({one.utterance_id for one in told}) == 76
    for one in told:
        assert re.fullmatch("[a-z' ]+", one.text)
        assert all(f" {name} " in f" {one.text} " for name in one.entities)
        assert len(set(one.listed)) == twin.LIST
        assert set(one.entities) < set(one.listed)


def test_every_carrier_comes_once_before_one_comes_again() -> None:
    told = list(twin.utterances(_names(), ["a"], 80, 3))
    for domain, (carriers, _) in twin.DOMAINS.items():
        kinds = [one.said for one in told if one.domain == domain][: len(carriers)]
        ends = {carrier.rsplit("}", 1)[1] or carrier.split("{", 1)[0] for carrier in carriers}
        found = {end for end in ends for said in kinds if end.strip().lower() in said.lower()}
        assert found == ends


def test_shares_of_kinds_are_those_of_names_dev() -> None:
    """In names_dev: 90 surnames, 101 cities, 48 full names and 214 medicines."""
    kinds = {
        domain: collections.Counter(kind for carrier in carriers for kind in re.findall(r"\{(\w)\}", carrier))
        for domain, (carriers, _) in twin.DOMAINS.items()
    }
    assert [len(carriers) for carriers, _ in twin.DOMAINS.values()] == [20, 18]
    assert kinds == {"parliament": {"S": 8, "C": 13, "P": 7}, "medical": {"D": 24, "S": 2}}


def test_carriers_share_no_four_words_with_those_of_the_training_speech() -> None:
    source = Path(twin.__file__).with_name("entities.py").read_text(encoding="utf-8")  # a script: not to be imported
    trained = _fours(line for line in source.splitlines() if re.search(r"\{[PSCD]\}", line))
    assert len(trained) > 100
    assert not trained & _fours([*twin.PARLIAMENT, *twin.MEDICAL])


def _fours(lines: Iterable[str]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for line in lines:
        for part in re.split(r"\{\w\}", line.lower()):
            words = re.findall("[a-z']+", part)
            found |= {tuple(words[at : at + 4]) for at in range(len(words) - 3)}
    return found


def test_a_directory_keeps_its_places_and_has_another_catalog() -> None:
    before = ["akra", "ulm", "ester", "ann ester", "ivo ulm", "bosentan", "lyon"]
    catalog = {"people": ["ann ester", "ivo ulm"], "cities": ["lyon"], "drugs": ["bosentan"]}
    names = twin.Names(("Eva Roth",), ("Ulm",), ("abamycin",))
    lines = twin.directory(before, catalog, {"akra", "ulm"}, names)
    assert lines == ["abamycin", "akra", "eva roth", "lyon", "roth", "ulm"]


def test_a_name_is_said_as_a_whole() -> None:
    said = twin.sayer(["eva met ivo roth", "roth left"])
    assert [said(name) for name in ("roth", "ivo roth", "eva roth", "met", "ro")] == [True, True, False, True, False]
