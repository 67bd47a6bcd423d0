"""The texts of a held-out twin of names_dev: other names, other sentences, the same kinds in the same shares.

What names_dev and its catalog are made of was read from them (1 December 2026). One half of its utterances is from a
parliament, one from a hospital. Its 20 and 18 carrier sentences are drawn evenly. Its cities have 40,000 people or
more and lie in Europe, its people have a first and a last name of 19 languages, 25 each, its medicines are words of 7
to 14 letters with the endings in ``ENDINGS``. A surname is the last name of one of these people. Names are drawn with
replacement; the list of an utterance is filled up to 100 from all names of its half.

``speak_twin.py`` speaks them.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

PARLIAMENT = """
mister {S} has asked for a new railway station in {C}
the visit of {S} to {C} was cancelled because of the storm
commissioner {S} promised more money for the schools of {C}
two days ago {S} told the crowd in {C} that taxes would fall
the complaint of {S} against the city of {C} has been dropped
the hospital in {C} needs another hundred beds this winter
farmers from {C} are waiting for an honest offer
the tunnel at {C} has been closed since the beginning of april
our thoughts are with everyone who lives in {C}
people around {C} believe that the mine will open again
the amendment was signed by {P} and forty other members
the next speaker is {P} who has three minutes
may i remind {P} that the vote is at noon
{P} was elected chair of the committee on fisheries
i cannot support what {S} has suggested today
missus {S} please take your seat
the reply that {S} gave us was far too short
the ambassador {P} will return to {C} before the summer
last autumn {P} opened a library in {C}
we received a petition from {P} who lives near {C}
""".strip().splitlines()
MEDICAL = """
the pharmacist could not find {D} in the store room
his fever went down an hour after the first tablet of {D}
never give {D} to anyone with a weak liver
she has been on {D} since her last pregnancy
the label says that {D} must be kept in the refrigerator
lower {D} to five milligrams if she feels dizzy
a second infusion of {D} is planned for thursday
we have no experience with {D} in older men
his insurance does not pay for {D}
ask the patient whether {D} helped against the cough
{D} worked better than {D} in most of the cases
take {D} before breakfast and {D} after dinner
the price of {D} is twice that of {D}
replace {D} by {D} when the kidneys recover
swelling of the legs is a known effect of {D} and of {D}
a tired nurse confused {D} with {D} on the night shift
doctor {S} has written a paper about {D}
in the opinion of doctor {S} the tests of {D} will end in may
""".strip().splitlines()
DOMAINS: dict[str, tuple[Sequence[str], str]] = {"parliament": (PARLIAMENT, "CPS"), "medical": (MEDICAL, "DS")}
"""The carriers of each half, and the kinds of names that fill its lists."""
ENDINGS = ("in", "ine", "one", "ol", "ole", "ide", "ab", "an", "ib", "il", "ate", "am", "ir")
"""Of all 5,167 medicines of names_dev_catalog.json."""
COUNTRIES = frozenset(re.findall(r"\w+", "AT BE BG CZ DE DK EE ES FI FR GR HR HU IT LT LV NL NO PL PT RO SE SI SK UA"))
MIN_POPULATION = 40_000
LIST = 100
PACES = (0.9, 1.1)


@dataclasses.dataclass(frozen=True)
class Names:
    """What sentences and lists are filled with, each name as it is written with capitals."""

    people: tuple[str, ...]
    cities: tuple[str, ...]
    medicines: tuple[str, ...]

    @property
    def surnames(self) -> tuple[str, ...]:
        """Return the last names of the people, each once."""
        return tuple(sorted({name.split()[-1] for name in self.people}))

    def kind(self, kind: str) -> tuple[str, ...]:
        """Return the names of a kind of the carriers: P, S, C or D."""
        return {"P": self.people, "S": self.surnames, "C": self.cities, "D": self.medicines}[kind]

    def written(self) -> set[str]:
        """Return all names in small letters."""
        return {name.lower() for kind in "PSCD" for name in self.kind(kind)}


@dataclasses.dataclass(frozen=True)
class Utterance:
    """What is to be said, and how."""

    utterance_id: str
    domain: str
    voice: str
    pace: float
    said: str  # with capitals and a full stop
    entities: tuple[str, ...]
    listed: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the reference: small letters, no full stop."""
        return self.said.lower().rstrip(".")


def is_medicine(name: str) -> bool:
    """Return whether names_dev would have taken this for a medicine."""
    return bool(re.fullmatch("[a-z]{7,14}", name)) and name.endswith(ENDINGS)


def is_city(name: str) -> bool:
    """Return whether names_dev would have taken this for a city: one word, plain letters."""
    return bool(re.fullmatch("[A-Z][a-z]{4,13}", name))


def chosen(
    people: Mapping[str, Sequence[str]],
    cities: Collection[str],
    medicines: Collection[str],
    sizes: Mapping[str, int],
    barred: Collection[str],
    seed: int,
) -> Names:
    """Choose a catalog.

    ``people`` are the full names of each language, which get even shares. ``sizes`` has how many ``people``, ``cities``
    and ``drugs`` there are at most. No name, no surname and no first name is among ``barred`` (small letters). Raises
    ValueError when too few are left to fill a list.
    """
    chance = random.Random(seed)
    barred = frozenset(barred)
    taken: list[str] = []
    for number, language in enumerate(sorted(people)):
        share = sizes["people"] * (number + 1) // len(people) - sizes["people"] * number // len(people)
        free = [name for name in people[language] if barred.isdisjoint([name.lower(), *name.lower().split()])]
        taken += _sample(chance, sorted(set(free) - set(taken)), share)
    free_cities = sorted({name for name in cities if name.lower() not in barred})
    free_medicines = sorted({name for name in medicines if name.lower() not in barred})
    names = Names(
        tuple(sorted(taken)),
        tuple(sorted(_sample(chance, free_cities, sizes["cities"]))),
        tuple(sorted(_sample(chance, free_medicines, sizes["drugs"]))),
    )
    for domain, (_, kinds) in DOMAINS.items():
        left = len({name for kind in kinds for name in names.kind(kind)})
        if left < LIST:
            raise ValueError(f"{left} names are left for {domain}, a list needs {LIST}; bar fewer or give more")
    return names


def utterances(names: Names, voices: Sequence[str], count: int, seed: int) -> Iterator[Utterance]:
    """Yield utterances, of each half in turn; every carrier comes once before one comes again."""
    chance = random.Random(seed)
    waiting: dict[str, list[str]] = {domain: [] for domain in DOMAINS}
    for number in range(count):
        domain = list(DOMAINS)[number % len(DOMAINS)]
        carriers, kinds = DOMAINS[domain]
        if not waiting[domain]:
            waiting[domain] = chance.sample(carriers, len(carriers))
        said, entities = _filled(waiting[domain].pop(), names, chance)
        pool = sorted({name.lower() for kind in kinds for name in names.kind(kind)} - set(entities))
        listed = [*entities, *chance.sample(pool, min(len(pool), LIST - len(entities)))]
        chance.shuffle(listed)
        name = f"twin-{domain}-{number // len(DOMAINS):03d}"
        voice, pace = chance.choice(voices), chance.uniform(*PACES)
        yield Utterance(name, domain, voice, pace, said, entities, tuple(listed))


def directory(
    before: Collection[str], catalog: Mapping[str, Collection[str]], places: Collection[str], names: Names
) -> list[str]:
    """Return the lines of a directory in which this catalog stands in place of another.

    ``before`` are the lines that hold ``catalog`` (``people``, ``cities``, ``drugs``; surnames are lines too). Its
    people, surnames and medicines go, but for those that are also names of ``places``; its cities stay.
    """
    surnames = {name.split()[-1] for name in catalog["people"]}
    gone = {*catalog["people"], *surnames, *catalog["drugs"]} - set(catalog["cities"]) - set(places)
    return sorted((set(before) - gone) | names.written())


def sayer(texts: Collection[str]) -> Callable[[str], bool]:
    """Return what tells whether a name (small letters) is said in any of these texts."""
    words = {word for text in texts for word in text.split()}
    padded = [f" {text} " for text in texts]
    return lambda name: set(name.split()) <= words and (" " not in name or any(f" {name} " in one for one in padded))


def _filled(carrier: str, names: Names, chance: random.Random) -> tuple[str, tuple[str, ...]]:
    entities: list[str] = []

    def name(match: re.Match[str]) -> str:
        one = chance.choice([name for name in names.kind(match[1]) if name.lower() not in entities])
        entities.append(one.lower())
        return one

    said = re.sub(r"\{(\w)\}", name, carrier)
    return said[0].upper() + said[1:] + ".", tuple(entities)


def _sample(chance: random.Random, names: Sequence[str], count: int) -> list[str]:
    return chance.sample(names, min(count, len(names)))
