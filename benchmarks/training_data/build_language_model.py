"""Build the word 3-gram of models/language_model from free text and the transcripts of the training speech.

    python build_language_model.py --sources SOURCES --transcripts TRAIN.parquet ... --dev-parquet DEV.parquet ... \\
        --catalog CATALOG --common-words WORDS --dictionary cmudict.txt.gz --kenlm KENLM/bin --out models/language_model

``KENLM`` is a build of the kenlm sources (README.md says how). Words of the pronouncing dictionary that never occur in
the text join the vocabulary with the probability of an unseen word: ``lmplz --vocab_pad`` has shared the mass of
``<unk>`` among them, so that the unigrams still sum to one.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import math
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator

import kenlm
import pyarrow.parquet
from modern_texts import LOADERS as MODERN
from reference_works import LOADERS
from texts import (
    add_leak_arguments,
    clean,
    collect,
    loose_sentences,
    read_leak_filter,
    read_references,
    transcript,
)

DICTIONARY_WORD = re.compile(r"[a-z][a-z']*")
QUANTISATION = ("-q", "8", "-b", "8")  # bits of a probability and of a back-off weight
SPECIAL = ("<s>", "</s>", "<unk>")


def training_transcripts(paths: list[pathlib.Path]) -> Iterator[str]:
    """Yield the transcripts of the training speech that are written without digits."""
    for path in paths:
        for text in pyarrow.parquet.read_table(path, columns=["text"]).column("text").to_pylist():
            if not re.search(r"\d", text):
                yield transcript(clean(text))


def read_dictionary(path: pathlib.Path) -> set[str]:
    """Return the plain words of a pronouncing dictionary."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        words = {line.split(maxsplit=1)[0].lower() for line in file if line.strip()}
    return {word for word in words if DICTIONARY_WORD.fullmatch(word)}


def write_corpus(lines: Iterator[str], path: pathlib.Path) -> set[str]:
    """Write one sentence per line and return the vocabulary."""
    vocabulary: set[str] = set()
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
            vocabulary.update(line.split())
    return vocabulary


def estimate(kenlm_bin: pathlib.Path, corpus: pathlib.Path, arpa: pathlib.Path, prune: str, size: int) -> None:
    """Estimate a 3-gram with modified Kneser-Ney smoothing."""
    command = [str(kenlm_bin / "lmplz"), "-o", "3", "-S", "1G", "-T", str(arpa.parent) + "/", "--vocab_pad", str(size)]
    subprocess.run(
        [*command, "--prune", *prune.split(), "--text", str(corpus), "--arpa", str(arpa)],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def add_words(arpa: pathlib.Path, out: pathlib.Path, extra: list[str]) -> None:
    """Copy an ARPA file and give each extra word the probability that the padding reserved for it."""
    with arpa.open(encoding="utf-8") as source, out.open("w", encoding="utf-8") as target:
        unknown, in_unigrams = "", False
        for line in source:
            if line.startswith("ngram 1="):
                line = f"ngram 1={int(line.split('=')[1]) + len(extra)}\n"
            elif "\t<unk>\t" in line:
                unknown = line.split("\t")[0]
            elif in_unigrams and line == "\n":
                target.writelines(f"{unknown}\t{word}\t0\n" for word in extra)
                in_unigrams = False
            elif line == "\\1-grams:\n":
                in_unigrams = True
            target.write(line)


def perplexity(model: kenlm.Model, references: list[list[str]]) -> dict[str, float]:
    """Return the perplexity of a model with and without unknown words, and their share."""
    total = known = 0.0
    words = unknown = ends = 0
    for reference in references:
        for score, _, is_unknown in model.full_scores(" ".join(reference)):
            total += score
            known += 0.0 if is_unknown else score
            unknown += is_unknown
        words += len(reference)
        ends += 1
    return {
        "perplexity": 10 ** (-total / (words + ends)),
        "perplexity_known": 10 ** (-known / (words + ends - unknown)),
        "oov_rate": unknown / words,
        "words": float(words),
    }


def report(binary: pathlib.Path, dev: pathlib.Path) -> None:
    """Print the size, the perplexity and the share of unknown words of a model."""
    values = perplexity(kenlm.Model(str(binary)), read_references([dev]))
    size = binary.stat().st_size / 1e6
    print(f"{binary}: {size:.2f} MB, {dev.name}: " + ", ".join(f"{key} {value:.4f}" for key, value in values.items()))
    if not math.isfinite(values["perplexity"]):
        raise SystemExit("error: the perplexity is not finite")


def build(corpus: pathlib.Path, vocabulary: set[str], extra: list[str], arguments: argparse.Namespace) -> None:
    """Estimate the model of a corpus and write it with its word list."""
    folder, binary = corpus.parent, arguments.out / "3gram.binary"
    everything = sorted(vocabulary | set(extra))
    estimate(arguments.kenlm, corpus, folder / "text.arpa", arguments.prune, len(everything) + len(SPECIAL))
    add_words(folder / "text.arpa", folder / "all.arpa", extra)
    command = [str(arguments.kenlm / "build_binary"), *QUANTISATION, "trie", str(folder / "all.arpa"), str(binary)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with gzip.GzipFile(arguments.out / "words.txt.gz", "wb", mtime=0) as packed:
        packed.write(("\n".join(everything) + "\n").encode())


def read_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("sources", "dictionary", "kenlm", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--transcripts", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--prune", default="0 0 1", help="counts up to which n-grams are dropped, per order")
    parser.add_argument("--max-hits", type=int, default=5)
    parser.add_argument("--modern", action="store_true", help="with the texts of modern_texts.py, twice as many words")
    add_leak_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Build the model."""
    arguments = read_arguments()
    leaks = read_leak_filter(arguments)
    more = LOADERS | (MODERN if arguments.modern else {})
    books = (words for _, _, words in collect(arguments.sources, leaks, arguments.max_hits, loose_sentences, more))
    speech = (words for words in training_transcripts(arguments.transcripts) if not leaks.leaks(words))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus.txt"
        vocabulary = write_corpus(itertools.chain(books, speech), corpus)
        extra = sorted(read_dictionary(arguments.dictionary) - vocabulary)
        build(corpus, vocabulary, extra, arguments)
    print(f"{len(vocabulary)} words of the text, {len(extra)} more of the dictionary")
    report(arguments.out / "3gram.binary", arguments.dev_parquet[0])


if __name__ == "__main__":
    main()
