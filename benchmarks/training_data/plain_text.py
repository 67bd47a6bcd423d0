"""Write the free text for the spelling branch: one file per source, a sentence per line, books apart.

    python plain_text.py --sources SOURCES --out text --dev-parquet DEV --catalog CATALOG --common-words WORDS

All that can be read, not only what a voice can speak, without what could leak the development sets (texts.LeakFilter).
"""

from __future__ import annotations

import collections

from modern_texts import LOADERS as MODERN
from reference_works import LOADERS
from texts import collect, loose_sentences, read_arguments, read_leak_filter


def main() -> None:
    """Write the files."""
    arguments = read_arguments(__doc__)
    books: dict[str, list[str]] = collections.defaultdict(list)
    leaks = read_leak_filter(arguments)
    for book, sentence, _ in collect(arguments.sources, leaks, arguments.max_hits, loose_sentences, LOADERS | MODERN):
        books[book].append(sentence)
    arguments.out.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[str]] = collections.defaultdict(list)
    for book, sentences in books.items():
        files[book.split("/")[0]].append("\n".join(sentences) + "\n")
    for source, texts in files.items():
        (arguments.out / f"{source}.txt").write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
