"""Speak sentences full of names, places and medicines, for the training of the contextual adapter.

    python speak_names.py piper --hours 2 --seed 11 --out synth_names --dev-parquet ... --catalog ... --common-words ...

The sentences are the carriers of entities.py filled with thousands of names; no name of the development catalog gets
through (texts.LeakFilter). Files are like those of synthesise.py.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
from collections.abc import Iterator

from entities import EntitySentences
from synthesise import Engine, Flite, Piper, already_said, speak_all, write_all
from texts import LeakFilter, add_leak_arguments, read_leak_filter, transcript


def sentences(leaks: LeakFilter, said: set[str], seed: int) -> Iterator[str]:
    """Yield filled carriers, each once."""
    source = EntitySentences([], seed)
    while True:
        spoken = source.from_carrier()
        words = transcript(spoken)
        if words not in said and not leaks.leaks(words):
            said.add(words)
            yield spoken


def main() -> None:
    """Run one engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=("flite", "piper"))
    add_leak_arguments(parser)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    chance = random.Random(json.dumps([arguments.engine, arguments.seed]))
    engine: Engine = Piper() if arguments.engine == "piper" else Flite()
    texts = sentences(read_leak_filter(arguments), already_said(arguments.out), arguments.seed)
    name = f"names-{arguments.engine}-{arguments.seed}"
    write_all(speak_all(engine, name, texts, chance), arguments.out, name, arguments.hours)


if __name__ == "__main__":
    main()
