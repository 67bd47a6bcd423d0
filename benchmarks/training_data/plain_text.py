"""Write the free text for the spelling branch: one file per source, a sentence per line, books apart.

    python plain_text.py --sources SOURCES --out text --dev-parquet DEV --catalog CATALOG --common-words WORDS

All that can be read, not only what a voice can speak, without what could leak the development sets (texts.LeakFilter).
With ``--names N`` there is ``names.txt`` too: N sentences that people, places and medicines of the packages in
README.md were put into (entities), less those with a rare word of the development catalog's names.
"""

from __future__ import annotations

import collections
import itertools

from entities import EntitySentences
from modern_texts import LOADERS as MODERN
from reference_works import LOADERS
from texts import LeakFilter, build_parser, collect, loose_sentences, read_leak_filter, transcript

SEED = 41  # of the names


def with_names(sentences: list[str], count: int, leaks: LeakFilter) -> list[str]:
    """Return sentences full of names, half of them carriers, half ``sentences`` with other names in them."""
    drawn = itertools.islice(EntitySentences(sentences, SEED), count)
    return [sentence for sentence in drawn if not leaks.names(transcript(sentence))]


def main() -> None:
    """Write the files."""
    parser = build_parser(__doc__)
    parser.add_argument("--names", type=int, default=0, help="sentences full of names (default: none)")
    arguments = parser.parse_args()
    books: dict[str, list[str]] = collections.defaultdict(list)
    leaks = read_leak_filter(arguments)
    for book, sentence, _ in collect(arguments.sources, leaks, arguments.max_hits, loose_sentences, LOADERS | MODERN):
        books[book].append(sentence)
    arguments.out.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[str]] = collections.defaultdict(list)
    for book, sentences in books.items():
        files[book.split("/")[0]].append("\n".join(sentences) + "\n")
    if arguments.names:
        sentences = [one for book in books.values() for one in book]
        files["names"] = ["\n".join(with_names(sentences, arguments.names, leaks)) + "\n"]
    for source, texts in files.items():
        (arguments.out / f"{source}.txt").write_text("\n".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
