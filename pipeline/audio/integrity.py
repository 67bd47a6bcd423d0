"""Is an audio file whole? The decoders silently return what is left of a truncated wav or ogg; these checks do not."""

import struct
from typing import BinaryIO

from pipeline.errors import RowError

_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)  # what programs that write wav to a pipe leave in the header
_OGG_TAIL = 65_307 + 64  # the largest page and a little: the last page starts within this of the end
_OGG_HEADER = 27  # bytes before a page's segment table
_MP3_HEAD = 4_096  # the first frame, which may carry the Xing/Info/VBRI count, ends within this


def check_complete(file: BinaryIO, source: str) -> None:
    """Raise RowError if the file is empty, or ends before its own header says; leaves it at its start."""
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise RowError(f"{source}: audio is empty (0 bytes).")
    head = file.read(12)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        _check_wav(file, size, "<" if head[:4] == b"RIFF" else ">", source)
    elif head[:4] == b"OggS":
        _check_ogg(file, size, source)
    file.seek(0)


def _check_wav(file: BinaryIO, size: int, order: str, source: str) -> None:
    """Walk the RIFF chunks to ``data`` and compare its stated size with what is there."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        there = size - position - 8
        if name == b"data":
            if length not in _UNKNOWN_SIZES and length > there + 1:  # an odd chunk may lack its padding byte
                raise RowError(f"{source}: wav is truncated: {there} of {length} bytes of samples are there.")
            return
        position += 8 + length + length % 2
    raise RowError(f"{source}: wav is truncated: it ends before its samples (no 'data' chunk).")


def _check_ogg(file: BinaryIO, size: int, source: str) -> None:
    """The last page must be whole: its segment table tells how long it is."""
    start = max(0, size - _OGG_TAIL)
    file.seek(start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    segments = tail[page + 26] if page >= 0 and page + _OGG_HEADER <= len(tail) else -1
    table = tail[page + _OGG_HEADER : page + _OGG_HEADER + max(segments, 0)]
    end = page + _OGG_HEADER + segments + sum(table)
    if page < 0 or segments < 0 or len(table) < segments or end > len(tail):
        raise RowError(f"{source}: ogg is truncated: its last page is not whole.")


def counts_frames(file: BinaryIO) -> bool:
    """Whether the header counts the samples; an mp3 without a Xing, Info or VBRI tag has only an estimate."""
    file.seek(0)
    head = file.read(10)
    is_mp3 = head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    start = 10 + _syncsafe(head[6:10]) if head[:3] == b"ID3" and len(head) == 10 else 0
    file.seek(start)
    first = file.read(_MP3_HEAD)
    file.seek(0)
    return not is_mp3 or any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def _syncsafe(field: bytes) -> int:
    """ID3v2 sizes hold seven bits per byte."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(field, (21, 14, 7, 0), strict=True))
