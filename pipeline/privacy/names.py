"""Which words of a text are names, numbers, dates, spelled letters or addresses, and what is written for them.

A word is a name if it belongs to an entity that was found, if it is out of vocabulary, or if a public list has it.
What is written for it is drawn from a public list of its class, by a keyed hash of the recording and the word: evenly,
independently of the word to everyone without the key, and the same throughout a recording.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.privacy.lists import DAYS, MONTHS, NUMBERS, ONES, UNSURE_DATES, UNSURE_NUMBERS, surrogates
from pipeline.privacy.noise import Keyed
from pipeline.text import ENGLISH, normalise

PERSON = "person"
"""Of an entity: all words but the last are given names, the last one a family name."""
TAGS: Mapping[str, str] = {
    **dict.fromkeys(("given", "first", "first_name", "given_name"), "given"),
    **dict.fromkeys(("family", "last", "surname", "last_name", "family_name"), "family"),
    **dict.fromkeys((PERSON, "persons", "people", "name", "names", "patient", "doctor", "speaker"), PERSON),
    **dict.fromkeys(("city", "cities", "place", "places", "location", "town", "street", "country"), "city"),
    **dict.fromkeys(("medicine", "medicines", "drug", "drugs", "medication"), "medicine"),
}
"""What tags of entity lists mean unless privacy.yaml says otherwise."""
_POSSESSIVE = re.compile(r"('s|s'|')\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[\d(][\d().\-/]{5,}\d")
_DOMAINS = frozenset(("com", "org", "net", "edu", "gov", "uk", "de", "fr", "eu", "info", "io"))
_LEAST_DIGITS = 7  # of a phone number
_NEAR = 2  # words between a month and its number


@dataclasses.dataclass(frozen=True)
class Span:
    """Words ``start`` to ``end`` of a text, one class; ``kind`` is one of pipeline.privacy.config.CLASSES."""

    kind: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of a text. ``core`` is what is looked up and replaced, ``ending`` is kept: "mary's" is "mary" and "'s"."""

    raw: str
    core: str
    ending: str = ""


class Names:
    """Finds spans, given which words are ordinary."""

    def __init__(self, vocabulary: Mapping[str, int], known: frozenset[str]) -> None:
        """``vocabulary``: the words that a mechanism takes; ``known``: those that are names all the same."""
        self._vocabulary, self._known = vocabulary, known

    def word(self, raw: str) -> Word:
        """Return what a word of a transcript is looked up as."""
        core = normalise(raw, ENGLISH)
        if core in self._vocabulary:
            return Word(raw, core)
        ending = _POSSESSIVE.search(core)
        if ending is None or ending.start() == 0:
            return Word(raw, core)
        if ending[0] == "s'":  # the plural's own s is part of the word
            return Word(raw, core[:-1], "'")
        return Word(raw, core[: ending.start()], ending[0])

    def is_ordinary(self, word: Word) -> bool:
        """Whether a mechanism may take the word where nothing else makes it a name."""
        return word.core in self._vocabulary and word.core not in self._known

    def find(self, words: Sequence[Word], entities: Iterable[Span]) -> list[Span]:
        """Return the spans of everything that is no ordinary word, in order; none overlaps another."""
        kinds: list[tuple[str, int] | None] = [None] * len(words)

        def mark(spans: Iterable[Span]) -> None:
            for span in spans:
                if all(kinds[at] is None for at in range(span.start, span.end)):
                    kinds[span.start : span.end] = [(span.kind, span.start)] * (span.end - span.start)

        for span in entities:  # word by word: an entity that overlaps another is no less one
            mark(_one_by_one(span, len(words)))
        cores = [word.core for word in words]
        for rule in (_emails, _phones, _letters, _dates, _numbers):
            mark(rule(words, cores))
        mark(Span("family", at, at + 1) for at, word in enumerate(words) if not self.is_ordinary(word))
        found: list[Span] = []
        for at, kind in enumerate(kinds):
            if kind is None:
                continue
            if found and found[-1].end == at and kinds[at - 1] == kind:
                found[-1] = dataclasses.replace(found[-1], end=at + 1)
            else:
                found.append(Span(kind[0], at, at + 1))
        return found


def _one_by_one(span: Span, count: int) -> list[Span]:
    places = range(max(span.start, 0), min(span.end, count))
    kinds = {at: span.kind for at in places}
    if span.kind == PERSON:
        kinds = {at: "family" if at == places[-1] else "given" for at in places}
    return [Span(kind, at, at + 1) for at, kind in kinds.items()]


def _runs(cores: Sequence[str], belongs: Callable[[str], bool], kind: str) -> list[Span]:
    found: list[Span] = []
    for at, core in enumerate(cores):
        if not belongs(core):
            continue
        if found and found[-1].end == at:
            found[-1] = Span(kind, found[-1].start, at + 1)
        else:
            found.append(Span(kind, at, at + 1))
    return found


def _emails(words: Sequence[Word], cores: Sequence[str]) -> list[Span]:
    """Written ones, and spoken ones: what is spelled or a word, "at", a word, "dot" and a domain."""
    found = [Span("email", at, at + 1) for at, word in enumerate(words) if _EMAIL.search(word.raw)]
    for dot in range(3, len(cores) - 1):
        if cores[dot] != "dot" or cores[dot + 1] not in _DOMAINS or "at" not in cores[max(0, dot - 4) : dot]:
            continue
        start = max(at for at in range(max(0, dot - 4), dot) if cores[at] == "at") - 1
        while start > 0 and (cores[start - 1] in ("dot", "underscore", "dash") or cores[start] in ("dot", "dash")):
            start -= 1
        while start > 0 and (len(cores[start - 1]) == 1 or cores[start - 1] in NUMBERS | UNSURE_NUMBERS):
            start -= 1
        found.append(Span("email", max(start, 0), dot + 2))
    return found


def _phones(words: Sequence[Word], cores: Sequence[str]) -> list[Span]:
    digits = {*ONES, "oh", "double", "triple"}
    runs = _runs(cores, lambda core: core in digits or core.isdigit(), "phone")
    spoken = [
        run for run in runs if sum(len(core) if core.isdigit() else 1 for core in cores[run.start : run.end]) >= 7
    ]
    written = [Span("phone", at, at + 1) for at, word in enumerate(words) if _is_phone(word.raw)]
    return spoken + written


def _digits(cores: Sequence[str]) -> int:
    return sum(len(core) if core.isdigit() else 1 for core in cores)


def _is_phone(raw: str) -> bool:
    match = _PHONE.search(raw)
    return match is not None and sum(character.isdigit() for character in match[0]) >= _LEAST_DIGITS


def _letters(words: Sequence[Word], cores: Sequence[str]) -> list[Span]:
    """Runs of single letters; "a" and "i" alone are words."""
    runs = _runs(cores, lambda core: len(core) == 1 and core.isalpha(), "letter")
    return [run for run in runs if not set(cores[run.start : run.end]) <= {"a", "i"} or run.end - run.start > 2]


def _dates(words: Sequence[Word], cores: Sequence[str]) -> list[Span]:
    found = []
    for at, core in enumerate(cores):
        near = cores[max(0, at - _NEAR) : at + _NEAR + 1]
        if core in UNSURE_DATES:
            if any(_is_number(other) or other in UNSURE_NUMBERS for other in near):
                found.append(Span("date", at, at + 1))
        elif core in MONTHS or core in DAYS:
            found.append(Span("date", at, at + 1))
    return found


def _numbers(words: Sequence[Word], cores: Sequence[str]) -> list[Span]:
    runs = _runs(cores, lambda core: _is_number(core) or core in UNSURE_NUMBERS, "number")
    return [run for run in runs if any(_is_number(core) for core in cores[run.start : run.end])]


def _is_number(core: str) -> bool:
    return core in NUMBERS or any(character.isdigit() for character in core)


class Surrogates:
    """What is written for names, under one key."""

    def __init__(self, key: bytes) -> None:
        self._choice = Keyed(key, "surrogate")

    def write(self, recording: str, span: Span, words: Sequence[Word]) -> list[str]:
        """Return what stands for the words of a span.

        Names are chosen word by word, so that a story stays one; numbers and what is spelled as a whole, so that no
        digit stands for another throughout.
        """
        names = surrogates()[span.kind]
        cores = [word.core or word.raw for word in words[span.start : span.end]]
        whole = [] if span.kind in ("given", "family", "city", "medicine") else cores
        written = []
        for at, core in enumerate(cores):
            parts = (recording, span.kind, " ".join(whole) or core, str(at if whole else 0))
            written.append(names[self._choice.below(len(names), *parts)] + words[span.start + at].ending)
        return written
