"""Train and measure the G2P model on CMUdict.

    python -m pipeline.training.g2p.train --out models/phonetics/g2p.npz [--names NAMES.txt]

It first trains on 95% of the words (by hash), prints how it does on the rest, then trains on all of them and saves.
"""

import argparse
import collections
import gzip
import hashlib
import re
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.lexicon.g2p import G2P, LETTERS, GraphoneModel, load_g2p, save_g2p
from pipeline.lexicon.phones import Pronunciation, phone_ids
from pipeline.training.g2p import graphones, kneser_ney

ORDER = 8
MIN_GRAPHONE_COUNT = 4  # rarer pieces come from wrong entries and abbreviations
Lexicon = dict[str, list[Pronunciation]]


def read_lexicon(path: Path) -> Lexicon:
    """Read ``word<TAB>phones`` lines; only words of plain letters and apostrophes, as G2P will be asked for."""
    lexicon: Lexicon = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            word, phones = line.rstrip("\n").split("\t")
            if re.fullmatch(r"[a-z][a-z']+", word):
                lexicon.setdefault(word, []).append(tuple(phones.split()))
    return lexicon


def is_held_out(word: str) -> bool:
    """One word in twenty, the same ones everywhere."""
    return hashlib.sha256(word.encode()).digest()[0] < 13


def train(lexicon: Lexicon, threshold: float, min_count: int = MIN_GRAPHONE_COUNT) -> GraphoneModel:
    """Align, count, smooth and prune."""
    entries = [(word, phones) for word, variants in lexicon.items() for phones in variants]
    letters = [np.array([LETTERS.index(letter) for letter in word], np.int64) for word, _ in entries]
    pairs = graphones.flatten(letters, [phone_ids(phones) for _, phones in entries])
    paths = [path for path in graphones.align(pairs, graphones.estimate(pairs)) if len(path)]
    counts = collections.Counter((int(s), int(p)) for path in paths for s, p in path)
    inventory = sorted(key for key, count in counts.items() if count >= min_count)
    ids = {key: id_ for id_, key in enumerate(inventory)}
    start, end = len(inventory), len(inventory) + 1
    rows = [[ids.get((int(s), int(p)), -1) for s, p in path] for path in paths]
    sequences = [np.array([start, *row, end], np.int64) for row in rows if -1 not in row]
    levels = kneser_ney.count_levels(sequences, ORDER, len(inventory) + 2, start)
    kneser_ney.estimate(levels, start)
    kneser_ney.prune(levels, threshold)
    return pack(levels, inventory, start, end)


def pack(levels: list[kneser_ney.Level], inventory: list[tuple[int, int]], start: int, end: int) -> GraphoneModel:
    """Lay the levels out as one trie, shorter n-grams first."""
    offsets = np.cumsum([0, *(len(level.token) for level in levels)])
    parents = [level.parent + offset for level, offset in zip(levels[1:], offsets[:-1], strict=False)]
    children = np.bincount(np.concatenate(parents), minlength=offsets[-1])
    sounds = [graphones.phones_of(phones) for _, phones in inventory]
    sounded = np.array([(*sound, -1, -1)[:2] for sound in sounds] + [(-1, -1)] * 2, np.int64)
    probs = np.maximum(np.concatenate([level.prob for level in levels]), 1e-7)
    return GraphoneModel(
        spelled=np.array([letters for letters, _ in inventory] + [-1, -1], np.int64),
        sounded=sounded,
        first_child=offsets[1] + np.concatenate([[0], np.cumsum(children)]),
        token=np.concatenate([level.token for level in levels]),
        fail=np.zeros(0, np.int64),  # made when it is loaded
        score=np.log(probs).astype(np.float32),
        backoff=np.log(np.concatenate([level.backoff for level in levels])).astype(np.float32),
        start=start,
        end=end,
    )


def edit_distance(first: Pronunciation, second: Pronunciation) -> int:
    """Levenshtein distance."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def measure(model: G2P, lexicon: Lexicon, words: Iterable[str]) -> dict[str, float]:
    """Phone error rate of the best guess against the nearest variant, words right at once, and within the 5 best."""
    errors = phones = right = covered = total = 0
    began = time.perf_counter()
    for word in words:
        guesses = [guess for guess, _ in model.pronounce(word, 5)]
        nearest = min(lexicon[word], key=lambda variant: edit_distance(guesses[0], variant))
        errors += edit_distance(guesses[0], nearest)
        phones += len(nearest)
        right += guesses[0] in lexicon[word]
        covered += any(guess in lexicon[word] for guess in guesses)
        total += 1
    seconds = time.perf_counter() - began
    rates = {"phone error rate": errors / phones, "word accuracy": right / total, "5-best coverage": covered / total}
    return {"words": total, **rates, "words per second": total / seconds}


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = Path(__file__).resolve().parents[3] / "models" / "phonetics"
    parser.add_argument("--lexicon", type=Path, default=models / "cmudict.txt.gz")
    parser.add_argument("--out", type=Path, default=models / "g2p.npz")
    parser.add_argument("--names", type=Path, help="a file with one name per line: held-out names are measured apart")
    parser.add_argument("--threshold", type=float, default=2e-8, help="pruning, in nats of relative entropy")
    arguments = parser.parse_args(argv)
    lexicon = read_lexicon(arguments.lexicon)
    kept = {word: variants for word, variants in lexicon.items() if not is_held_out(word)}
    save_g2p(train(kept, arguments.threshold), arguments.out)
    held_out = [word for word in lexicon if is_held_out(word)]
    model = load_g2p(arguments.out)
    model.pronounce("compile", 1)
    print("held out:", measure(model, lexicon, held_out))
    if arguments.names:
        names = set(arguments.names.read_text(encoding="utf-8").split())
        print("held-out names:", measure(model, lexicon, [word for word in held_out if word in names]))
    save_g2p(train(lexicon, arguments.threshold), arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
