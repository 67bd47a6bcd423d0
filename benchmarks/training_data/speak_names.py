"""Speak sentences full of names, places and medicines, for the training of the contextual adapter.

    python speak_names.py piper --hours 2 --seed 11 --out synth_names --dev-parquet ... --catalog ... --common-words ...

The sentences are the carriers of entities.py filled with thousands of names; no name of the development catalog gets
through (texts.LeakFilter). Files are like those of synthesise.py.

    python speak_names.py piper --names directory.txt --count 200 --recordings 4 --hours 2 --out recurring ...

Speech to judge by, not to train with: so many of the names of a file, each in so many recordings of one voice, beside
others of these names; what is in the file is what is said, and the leak filter does not apply.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import re
from collections.abc import Iterator, Sequence

from entities import PARLIAMENT, EntitySentences, plain, usable
from synthesise import Engine, Flite, Piper, already_said, speak_all, write_all
from texts import LeakFilter, add_leak_arguments, read_leak_filter, transcript

Told = tuple[str, str]
"""A sentence and the voice that says it."""


def sentences(leaks: LeakFilter, said: set[str], seed: int) -> Iterator[str]:
    """Yield filled carriers, each once."""
    source = EntitySentences([], seed)
    while True:
        spoken = source.from_carrier()
        words = transcript(spoken)
        if words not in said and not leaks.leaks(words):
            said.add(words)
            yield spoken


def recurring(path: pathlib.Path, count: int, recordings: int, voices: Sequence[str], seed: int) -> Iterator[Told]:
    """Yield sentences, each with its voice, until ``count`` names of the file were said in ``recordings`` of them.

    A name has one voice. No sentence has a name twice.
    """
    chance = random.Random(seed)
    names = sorted({plain(line.strip()).title() for line in path.read_text(encoding="utf-8").splitlines()})
    chosen = chance.sample([name for name in names if usable(name)], count)
    carriers = [one for one in PARLIAMENT if set(re.findall(r"\{(\w)\}", one)) <= {"C", "S", "P"}]
    told: list[Told] = []
    for number, voice in enumerate(voices):
        left = dict.fromkeys(chosen[number :: len(voices)], recordings)
        while left:
            carrier = chance.choice([one for one in carriers if one.count("{") <= len(left)])
            most = sorted(left, key=lambda name: (-left[name], chance.random()))[: carrier.count("{")]
            for name in most:
                left[name] -= 1
            left = {name: times for name, times in left.items() if times}
            told.append((filled(carrier, iter(most)), voice))
    chance.shuffle(told)
    yield from told


def filled(carrier: str, names: Iterator[str]) -> str:
    """Return a carrier sentence with the names in their order."""
    text = re.sub(r"\{\w\}", lambda _: next(names), carrier)
    return text[0].upper() + text[1:] + "."


def main() -> None:
    """Run one engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=("flite", "piper"))
    add_leak_arguments(parser)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--names", type=pathlib.Path, help="file with a name a line, to be said again and again")
    parser.add_argument("--count", type=int, default=200, help="of these names")
    parser.add_argument("--recordings", type=int, default=3, help="in which each of them is said")
    arguments = parser.parse_args()
    chance = random.Random(json.dumps([arguments.engine, arguments.seed]))
    engine: Engine = Piper() if arguments.engine == "piper" else Flite()
    texts: Iterator[str] | Iterator[Told]
    if arguments.names is not None:
        texts = recurring(arguments.names, arguments.count, arguments.recordings, engine.voices, arguments.seed)
    else:
        texts = sentences(read_leak_filter(arguments), already_said(arguments.out), arguments.seed)
    name = f"names-{arguments.engine}-{arguments.seed}"
    write_all(speak_all(engine, name, texts, chance), arguments.out, name, arguments.hours)


if __name__ == "__main__":
    main()
