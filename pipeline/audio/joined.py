"""Several audio streams in one file, one after the other: ``cat a.mp3 b.mp3``, and chained Ogg.

libsndfile reads the first stream and stops without a word; the rule here is that every byte is somebody's. A file is
cut where a further stream starts, and each part is decoded and checked as a file of its own. A start is told by bytes
that do not come about by chance: a container's magic with the fixed fields after it, and for mp3 the end that the
Xing or Info header states, with a frame or an ID3 tag there.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

from pipeline.audio.integrity import find_samples, mp3_frame_bytes, syncsafe

_CHUNK = 4 << 20  # bytes searched at a time
_LONGEST = 32  # bytes of the longest pattern: what neighbouring chunks share
_SLACK = 4_096  # bytes: less after an mp3's stated end is no stream of its own
_WAV = (b"WAVE", 8, re.compile(rb"RIF[FX].{4}WAVE[ -~]{4}", re.DOTALL))
_FLAC = (b"fLaC", 0, re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"))
_OGG = (b"OggS", 0, re.compile(rb"OggS\x00\x02\x00{8}.{4}\x00{4}", re.DOTALL))
_AIFF = (b"FORM", 0, re.compile(rb"FORM.{4}AIF[FC][ -~]{4}", re.DOTALL))
_MP4 = (b"ftyp", 4, re.compile(rb"\x00\x00.{2}ftyp[ -~]{4}\x00\x00", re.DOTALL))
_MATROSKA = (b"\x1aE\xdf\xa3", 0, re.compile(rb"\x1aE\xdf\xa3.{1,8}\x42[\x82\x86]", re.DOTALL))
_DEPTHS = (36, 21, 13)  # bytes of an mp3 frame before its Xing or Info header, by version and channels
_ID3V1 = 128  # bytes of the tag at an mp3's end
_OVERLAP = 64  # bytes of an mp3 that neighbouring chunks share
_ID3 = re.compile(rb"ID3[\x02-\x04]\x00.[\x00-\x7f]{4}", re.DOTALL)
_Pattern = tuple[bytes, int, re.Pattern[bytes]]  # what is searched, where it lies in the pattern, the whole pattern
_STARTS: dict[str, tuple[_Pattern, ...]] = {
    "wav": (_WAV, _FLAC, _OGG),
    "flac": (_FLAC, _WAV, _OGG),
    "ogg": (_OGG,),  # its first page may hold the start of a FLAC
    "aiff": (_AIFF,),
    "mp4": (_MP4,),
    "matroska": (_MATROSKA,),
}


class Part(io.RawIOBase):
    """Bytes ``start`` up to ``end`` of a file as a file; ``head`` stands in the place of its first bytes."""

    def __init__(self, file: BinaryIO, start: int, end: int, head: bytes = b"") -> None:
        self._file, self._start, self._size, self._head = file, start, end - start, head
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes; all that are left if it is negative or None."""
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        given = self._head[self._at : self._at + wanted]
        self._file.seek(self._start + self._at + len(given))
        data = given + self._file.read(wanted - len(given))
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def parts_of(file: BinaryIO) -> list[BinaryIO]:
    """Return the streams that the file is made of, each as a file; one that is not joined is returned as it is."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_LONGEST)
    kind = _kind(head)
    starts = [0]
    if kind == "mp3":
        starts += _mp3_starts(file, size)
    elif kind is not None and not (kind == "wav" and _fills_the_file(file, head, size)):
        starts += _starts(file, _STARTS[kind])
    file.seek(0)
    if len(starts) == 1:
        return [file]
    ends = [*starts[1:], size]
    return [cast(BinaryIO, Part(file, start, end)) for start, end in zip(starts, ends, strict=True)]


def _fills_the_file(file: BinaryIO, head: bytes, size: int) -> bool:
    """Whether a wav's samples end where the file does, by its header: nothing can follow, and nothing is searched."""
    found = find_samples(file, size, "<" if head[:4] == b"RIFF" else ">")
    return found is not None and sum(found) == size


def _kind(head: bytes) -> str | None:
    if head[:3] == b"ID3" or mp3_frame_bytes(head[:4]):
        return "mp3"
    fits = (kind for kind, patterns in _STARTS.items() if patterns[0][2].match(head))
    return next(fits, None)


def _starts(file: BinaryIO, patterns: tuple[_Pattern, ...]) -> list[int]:
    """Return where further streams start. Ogg's first pages of tracks that play together are one start."""
    found: set[int] = set()
    base, held = 0, b""
    file.seek(0)
    while data := file.read(_CHUNK):
        held += data
        for magic, before, pattern in patterns:
            at = held.find(magic)
            while at >= 0:
                if at >= before and pattern.match(held, at - before):
                    found.add(base + at - before)
                at = held.find(magic, at + 1)
        base, held = base + max(0, len(held) - _LONGEST), held[-_LONGEST:]
    starts, group_end = [], -1
    for at in sorted(found):
        if at not in (0, group_end):
            starts.append(at)
        group_end = _ogg_page_end(file, at)
    return starts


def _ogg_page_end(file: BinaryIO, at: int) -> int:
    """Return where the Ogg page at ``at`` ends; -1 where there is none."""
    file.seek(at)
    head = file.read(27 + 255)
    if head[:4] != b"OggS" or len(head) < 27:
        return -1
    return at + 27 + head[26] + sum(head[27 : 27 + head[26]])


def _mp3_starts(file: BinaryIO, size: int) -> list[int]:
    """Return where further mp3 streams start: at tags and counts in the midst, and after the stated end of one."""
    marks = set(_mp3_marks(file))
    behind_tag = {audio for mark in (0, *marks) if (audio := _mp3_audio(file, mark)) != mark}
    marks -= {0, *behind_tag}
    ends = (_mp3_end(file, start, size) for start in (0, *marks))
    return sorted(marks | {end for end in ends if end is not None})


def _mp3_audio(file: BinaryIO, at: int) -> int:
    """Return where the frames of the stream at ``at`` start: behind its ID3 tag, if it has one."""
    file.seek(at)
    head = file.read(10)
    return at + (10 + syncsafe(head[6:10]) if head[:3] == b"ID3" and len(head) == 10 else 0)


def _mp3_marks(file: BinaryIO) -> Iterator[int]:
    """Yield where an ID3 tag or a frame with a count starts, and where a frame follows an ID3v1 tag."""
    base, held = 0, b""
    file.seek(0)
    while data := file.read(_CHUNK):
        held += data
        for magic in (b"Xing", b"Info", b"ID3", b"TAG"):
            at = held.find(magic)
            while at >= 0:
                yield from _mp3_mark(file, base, held, at)
                at = held.find(magic, at + 1)
        base, held = base + max(0, len(held) - _OVERLAP), held[-_OVERLAP:]
        file.seek(base + len(held))


def _mp3_mark(file: BinaryIO, base: int, held: bytes, at: int) -> Iterator[int]:
    magic = held[at : at + 3]
    if magic == b"ID3" and _ID3.match(held, at) and _are_frames(file, _mp3_audio(file, base + at)):
        yield base + at
    elif magic == b"TAG" and _are_frames(file, base + at + _ID3V1):
        yield base + at + _ID3V1
    elif magic in (b"Xin", b"Inf"):
        yield from (base + at - deep for deep in _DEPTHS if at >= deep and _is_count(held[at - deep : at + 8]))


def _is_count(frame: bytes) -> bool:
    """Whether a frame's bytes up to a Xing or Info header, and the header's flags, say that it is one."""
    return bool(mp3_frame_bytes(frame[:4])) and not any(frame[4:-8]) and frame[-4:-1] == bytes(3) and frame[-1] < 16


def _are_frames(file: BinaryIO, at: int) -> bool:
    for _ in range(2):
        file.seek(at)
        length = mp3_frame_bytes(file.read(4))
        at += length
        if not length:
            return False
    return True


def _mp3_end(file: BinaryIO, at: int, size: int) -> int | None:
    """Return where the stream at ``at`` ends by its own count, if that is right and frames without one follow."""
    start = _mp3_audio(file, at)
    file.seek(start)
    first = file.read(64)
    tag = max(first.find(b"Xing"), first.find(b"Info"))
    if tag < 0 or len(first) < tag + 16:
        return None
    flags, frames, length = struct.unpack(">3I", first[tag + 4 : tag + 16])
    end = start + length
    if flags & 3 != 3 or size - end < _SLACK or not _are_frames(file, end):
        return None
    return end if _mp3_frames(file, start, end) == frames + 1 else None  # the header's own frame counts


def _mp3_frames(file: BinaryIO, at: int, end: int) -> int:
    """Count the frames that lie one after the other from ``at`` to just ``end``; 0 if they do not end there."""
    frames = 0
    while at < end:
        file.seek(at)
        length = mp3_frame_bytes(file.read(4))
        if not length:
            return 0
        at, frames = at + length, frames + 1
    return frames if at == end else 0
