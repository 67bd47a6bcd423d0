"""Read the recorded dialogue of three adventure games that their makers gave away: Debian packages in ``main``.

Every reader yields the lines of a game as ``Line``: who speaks, what is said and how it sounds. Actors speak in many
accents and moods, at 11 kHz. The words are those of the games' own subtitles. Two tables of words are not in the games
but in the program that plays them, so the source package of ScummVM is read too, as data: nothing of it is compiled.
"""

from __future__ import annotations

import dataclasses
import io
import pathlib
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

RATE = 11025  # of all three games
Samples = np.ndarray[Any, np.dtype[np.float32]]


@dataclasses.dataclass(frozen=True)
class Line:
    """One recording with its words. Lines with the same ``turn`` follow each other in the game, as one turn."""

    name: str
    speaker: str
    turn: str
    text: str
    samples: Samples


def _signed(data: bytes, position: int) -> int:
    return int(struct.unpack_from(">h", data, position)[0])


def _unsigned(data: bytes, position: int) -> int:
    return int(struct.unpack_from(">H", data, position)[0])


def _raw(data: bytes) -> Samples:
    """Return unsigned bytes as samples."""
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128


# Flight of the Amazon Queen

QUEEN = "deb/flight-of-the-amazon-queen/usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
_QUEEN_HEADER = 20  # bytes before the data of a dialogue or a scene
_REMARKS = 40  # recordings of what Joe says of things are numbered after the ones of what he answers


def queen_files(archive: bytes) -> dict[str, bytes]:
    """Return the files of the archive by their names: a table of (name, bundle, offset, size) stands at its start."""
    (count,) = struct.unpack_from(">H", archive, 13)
    files = {}
    for number in range(count):
        name, _, offset, size = struct.unpack_from(">12sBII", archive, 15 + 21 * number)
        files[name.split(b"\0")[0].decode()] = archive[offset : offset + size]
    return files


def _queen_string(data: bytes, position: int, align: int = 2) -> tuple[str, int]:
    """Return a string with its length in front, and where the next thing starts."""
    length = data[position]
    position += 1
    if not length:
        return "", position
    end = position + length
    return data[position:end].decode("cp437"), (end + align - 1) & -align


def queen_segments(sentence: str) -> Iterator[tuple[int, str]]:
    """Yield the pieces of a sentence with the numbers of their recordings.

    A star and two characters (a gesture) end a piece; after ``XY`` nine more characters say where to walk.
    """
    number, start = 1, 0
    for star in re.finditer(r"\*(?:XY.{0,9}..|..)", sentence):
        yield number, sentence[start : star.start()]
        number, start = number + 1, star.end()
    if start < len(sentence):
        yield number, sentence[start:]


def _queen_dialogue(name: str, data: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield (prefix of the recordings, speaker, sentence) of a dialogue file."""
    other = re.sub(r"\d+$", "", name).lower()
    levels, key, joe_count, other_count = abs(_signed(data, 0)), _signed(data, 4), _signed(data, 6), _signed(data, 8)
    joe_start, other_start, again = 32 + levels * 96, _unsigned(data, 22), _unsigned(data, 26)
    for start, count, letter, speaker in ((joe_start, joe_count, "J", "joe"), (other_start, other_count, "P", other)):
        position = start
        for _ in range(count):
            sentence, following = _queen_string(data, position + 4, 4)
            yield f"{key:2d}{_unsigned(data, position + 2):4x}{letter}", speaker, sentence
            position = following
    if not _unsigned(data, joe_start + 2):
        yield f"{key:2d}SSSSJ", "joe", _queen_string(data, joe_start + 4)[0]
    sentence, following = _queen_string(data, again)
    yield f"{key:2d}XXXXP", other, sentence
    yield f"{key:2d}XXXXJ", "joe", _queen_string(data, following)[0]


def _queen_scene(name: str, data: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield (prefix of the recordings, speaker, sentence) of a scene file; who speaks is not said in it."""
    _, position = _queen_string(data, _unsigned(data, 8))
    for number in range(1, abs(_signed(data, 2)) + 1):
        sentence, position = _queen_string(data, position)
        yield f"{name:_<5}{number:02d}", "scenes", sentence


def _queen_remarks(data: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield (prefix of the recordings, speaker, sentence) of what Joe says of things."""
    for number, sentence in enumerate(data.decode("cp437").split("\r\n"), _REMARKS + 1):
        yield f"JOE{number:04d}", "joe", sentence


def load_amazon_queen(sources: pathlib.Path) -> Iterator[Line]:
    """Flight of the Amazon Queen (1995): Debian flight-of-the-amazon-queen, MP3."""
    files = queen_files((sources / QUEEN).read_bytes())
    for file, data in files.items():
        name, _, kind = file.partition(".")
        if kind == "DOG":
            sentences = _queen_dialogue(name, data[_QUEEN_HEADER:])
        elif kind == "CUT":
            sentences = _queen_scene(name, data[_QUEEN_HEADER:])
        elif file == "QUEEN2.JAS":
            sentences = _queen_remarks(data)
        else:
            continue
        for prefix, speaker, sentence in sentences:
            turn = prefix.replace(" ", "0").upper()
            for number, text in queen_segments(sentence):
                sound = files.get(f"{turn}{number:X}.SB")
                if sound and text.strip():
                    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
                    if rate == RATE:
                        yield Line(f"{turn}{number:X}", speaker, turn, text, samples)


# Beneath a Steel Sky

SKY = "deb/beneath-a-steel-sky/usr/share/scummvm/beneath-a-steel-sky"
SKY_WORDS = "scummvm/engines/sky/hufftext.cpp"
_SKY_TEXTS, _SKY_SPEECH, _SKY_SECTIONS = 60600, 50000, 8
_SKY_FIRST = (0, 600, 1100, 2430, 3380, 4530, 5080, 5230)  # recording of the first line of each section
_SKY_HEADER = 22


class RobNorthen:
    """Unpacks "RNC method 1": runs of plain bytes, and copies of what came before, both counted by Huffman codes."""

    def __init__(self, packed: bytes) -> None:
        magic, self.size, _, _, _, _, self.blocks = struct.unpack_from(">4sIIHHBB", packed)
        if magic != b"RNC\x01":
            raise ValueError(f"packed data starts with {magic!r}; needed is b'RNC\\x01'")
        self.packed, self.position, self.bits, self.count = packed + b"\0\0\0\0", 18, 0, 0

    def _take(self, amount: int) -> int:
        """Return the next bits; a word is read only when it is needed, as plain bytes stand between the words."""
        while self.count < amount:
            self.bits |= (self.packed[self.position] | self.packed[self.position + 1] << 8) << self.count
            self.position += 2
            self.count += 16
        value = self.bits & ((1 << amount) - 1)
        self.bits >>= amount
        self.count -= amount
        return value

    def _table(self) -> dict[tuple[int, int], int]:
        """Read a table of codes: (length, bits as they come) to number."""
        lengths = [self._take(4) for _ in range(self._take(5))]
        codes, code = {}, 0
        for length in range(1, 17):
            for number, own in enumerate(lengths):
                if own == length:
                    reverse = int(f"{code >> (16 - length):0{length}b}"[::-1], 2)
                    codes[length, reverse] = number
                    code += 1 << (16 - length)
        return codes

    def _value(self, codes: dict[tuple[int, int], int]) -> int:
        bits = length = 0
        while length < 16:
            bits |= self._take(1) << length
            length += 1
            number = codes.get((length, bits))
            if number is not None:
                return number if number < 2 else self._take(number - 1) | 1 << (number - 1)
        raise ValueError("packed data holds a code that is in none of its tables")

    def unpack(self) -> bytes:
        """Return the unpacked data."""
        out = bytearray()
        self._take(2)
        for _ in range(self.blocks):
            plain, distance, length = self._table(), self._table(), self._table()
            for left in range(self._take(16), 0, -1):
                run = self._value(plain)
                out += self.packed[self.position : self.position + run]
                self.position += run
                if left > 1:
                    start = len(out) - self._value(distance) - 1
                    for place in range(start, start + self._value(length) + 2):
                        out.append(out[place])
        return bytes(out[: self.size])


def sky_files(index: bytes, disk: bytes) -> dict[int, bytes]:
    """Return the files of the disk by their numbers, unpacked, without the header of those that have one."""
    files = {}
    for entry in range(struct.unpack_from("<I", index)[0]):
        number, low, high = struct.unpack_from("<HIH", index + b"\0", 4 + 8 * entry)
        size, plain = (low >> 24 | high << 8) & 0x3FFFFF, high >> 15
        offset = (low & 0x7FFFFF) << (4 if low & 0x800000 else 0)
        files[number] = disk[offset : offset + size] if plain else _sky_unpacked(disk[offset : offset + size])
    return files


def _sky_unpacked(data: bytes) -> bytes:
    if len(data) > _SKY_HEADER and data[_SKY_HEADER : _SKY_HEADER + 4] == b"RNC\x01":
        return RobNorthen(data[_SKY_HEADER:]).unpack()
    return data[_SKY_HEADER:]


def sky_tree(source: str) -> list[tuple[int, int, str]]:
    """Return the code of the letters (left, right, letter), as ScummVM lists it for the version on CD."""
    table = source.partition("_huffTree_00372[] = {")[2].partition("};")[0]
    nodes = re.findall(r"\{\s*(\d+),\s*(\d+),\s*(?:'(\\?.)'|(\d+))\s*\}", table)
    return [(int(left), int(right), letter[-1:] or chr(int(number))) for left, right, letter, number in nodes]


def sky_text(section: bytes, number: int, tree: list[tuple[int, int, str]]) -> str:
    """Return a text of a section: blocks of 32 texts, whose lengths are counted in pairs of bits."""
    lengths, texts = struct.unpack_from("<HH", section)
    block, within = number & 0xFE0, number & 0x1F
    pairs = sum(struct.unpack_from(f"<{block >> 5}H", section, 4))
    for length in section[lengths + block : lengths + block + within]:
        pairs += (length & 0x7F) << 3 if length & 0x80 else length
    bits = "".join(f"{byte:08b}" for byte in section[texts + (pairs >> 2) : texts + (pairs >> 2) + 400])
    words, node = "", 0
    for bit in bits[2 * (pairs & 3) :]:
        node = tree[node][int(bit)]
        left, right, letter = tree[node]
        if left == right == 0:
            if letter == "\0":
                return words
            words, node = words + letter, 0
    raise ValueError(f"text {number} has no end")


def load_steel_sky(sources: pathlib.Path) -> Iterator[Line]:
    """Beneath a Steel Sky (1994): Debian beneath-a-steel-sky; who speaks is not said in its files."""
    folder = sources / SKY
    files = sky_files((folder / "sky.dnr").read_bytes(), (folder / "sky.dsk").read_bytes())
    tree = sky_tree((sources / SKY_WORDS).read_text(encoding="latin-1"))
    ends = (*_SKY_FIRST[1:], _SKY_FIRST[-1] + 0xFFF)
    turn = ""
    for section in range(_SKY_SECTIONS):
        for number in range(ends[section] - _SKY_FIRST[section]):
            sound = files.get(_SKY_SPEECH + _SKY_FIRST[section] + number)
            if sound:
                name = f"{section}{number:04d}"
                try:
                    text = sky_text(files[_SKY_TEXTS + section], number, tree)
                except (ValueError, IndexError, struct.error):
                    continue  # a recording that is in no text
                turn = turn if text.startswith("...") else name  # the same voice goes on
                yield Line(name, "cast", turn, text, _raw(sound))


# Drascula

DRASCULA = "deb/drascula/usr/share/scummvm/drascula/en"
DRASCULA_WORDS = "scummvm/devtools/create_drascula/staticdata.h"
_DRASCULA_CAST = {
    "": "hacker",
    "d": "drascula",
    "b": "drunk",
    "bj": "blonde",
    "e": "flies",
    "i": "igor",
    "l": "werewolf",
    "p": "pianist",
    "t": "bartender",
    "vb": "von braun",
}


def drascula_texts(source: str, letters: str) -> list[str]:
    """Return the English texts of a speaker, the first of the languages that ScummVM lists."""
    table = re.search(rf"char \*_text{letters}\[NUM_LANGS\].*?= \{{\s*\{{(.*?)^\}},?", source, re.DOTALL | re.MULTILINE)
    return [text.replace('\\"', '"') for text in re.findall(r'"((?:[^"\\]|\\.)*)"', table[1])] if table else []


def load_drascula(sources: pathlib.Path) -> Iterator[Line]:
    """Drascula (1996): Debian drascula, the English version."""
    words = (sources / DRASCULA_WORDS).read_text(encoding="latin-1")
    sounds = {path.stem.lower(): path for path in (sources / DRASCULA).glob("*.ALS")}
    for letters, speaker in _DRASCULA_CAST.items():
        for number, text in enumerate(drascula_texts(words, letters)):
            name = f"{letters}{number}"
            if text and name in sounds:
                yield Line(name, speaker, name, text, _raw(sounds[name].read_bytes()))


GAMES = {"amazon-queen": load_amazon_queen, "steel-sky": load_steel_sky, "drascula": load_drascula}
