"""Write background names: a large list of which nothing is said in a development set.

    python background_names.py --data ../../../shared/data --out background.txt

Rivals of the contextual adapter (`rollcall train-adapter --rivals`) and the list that the cut is fitted on
(`rollcall train-retrieval --names`) are taken from it. It has the places of names_dev_directory.txt, the rare words of
IS21, and the people, places and medicines of entities.py, without every name that stands in a transcript of a
development set.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterable

import pyarrow.parquet
from entities import read_cities, read_medicines, read_people, usable
from twin import sayer

DEVELOPMENT = ("librispeech_test_clean_dev", "names_dev")
SEED = 31  # other people than those of speak_names.py with its default
PEOPLE = 12_000


def background(data: pathlib.Path, drawn: Iterable[str]) -> list[str]:
    """Return the names of the lists in ``data`` and those ``drawn``, in small letters and sorted."""
    lists = (data / "names_dev_directory.txt", data / "is21_deep_bias" / "all_rare_words.txt")
    names = {line.strip().lower() for path in lists for line in path.read_text(encoding="utf-8").splitlines()}
    names |= {name.lower() for name in drawn if usable(name)}
    tables = (pyarrow.parquet.read_table(data / f"{stem}.parquet", columns=["text"]) for stem in DEVELOPMENT)
    said = sayer([text.lower() for table in tables for text in table["text"].to_pylist()])
    return sorted(name for name in names if name and not said(name))


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with the development sets")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    names = background(options.data, (*read_people(PEOPLE, SEED), *read_cities(), *read_medicines()))
    options.out.write_text("\n".join(names) + "\n", encoding="utf-8")
    print(f"{len(names):,} names")


if __name__ == "__main__":
    main()
