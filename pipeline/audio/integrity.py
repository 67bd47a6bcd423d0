"""Is an audio file whole? The decoders silently return what is left of a truncated wav or ogg; these checks do not."""

import struct
from typing import BinaryIO

from pipeline.errors import RowError

_PLACEHOLDERS = (range(0x7FFFF000, 0x80000081), range(0xFFFFF000, 0x100000000))
"""Sizes that recorders, pipes and old tools leave in a wav's header: the largest number of theirs, give or take the
header or a page of memory. A wav of just that size, 2 or 4 GiB to within 4 KiB, is not told from them, and is then not
checked."""
_SAMPLE_CODECS = (1, 3, 6, 7, 0xFFFE)
"""Numbers of wav's encodings whose data end with a whole sample: integers, floats, A-law, u-law, and any of them."""
_HEADER_COUNTED_IN = 128  # bytes at most that a wav's size may be too large: some tools count the header in
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
    """Compare the stated size of the samples with what is there."""
    data = find_samples(file, size, order)
    if data is None:
        raise RowError(f"{source}: wav is truncated: it ends before its samples (no 'data' chunk).")
    start, length = data
    there = size - start
    if any(length in sizes for sizes in _PLACEHOLDERS):
        return
    is_cut = length > there + min(start, _HEADER_COUNTED_IN)
    # A size that is a little too large is a tool's slip, unless the file ends within a sample, which no tool writes.
    if is_cut or (length > there and there % _sample_bytes(file, start, order)):
        raise RowError(f"{source}: wav is truncated: {there} of {length} bytes of samples are there.")


def _sample_bytes(file: BinaryIO, end: int, order: str) -> int:
    """Return the bytes of a sample of all channels, 1 where the encoding has no such thing; ``end``: of the header."""
    file.seek(12)
    head = file.read(end - 12)
    at = head.find(b"fmt ")
    if at < 0 or len(head) < at + 22:
        return 1
    codec, block = struct.unpack(f"{order}H10xH", head[at + 8 : at + 22])
    return block if codec in _SAMPLE_CODECS and block else 1


def find_samples(file: BinaryIO, size: int, order: str) -> tuple[int, int] | None:
    """Walk a wav's chunks to ``data``; return where its samples start and their stated size."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"data":
            return position + 8, length
        position += 8 + length + length % 2
    return None


def mended_wav(file: BinaryIO) -> bytes:
    """Return the first bytes of a wav with the true sizes, up to its samples; nothing if its header is right.

    The size of the samples is what is there where the header states a placeholder, more than there is, or 0 with
    something other than chunks behind it: libsndfile takes what is stated at its word. Leaves the file at its start.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    order = "<" if head[:4] == b"RIFF" else ">"
    data = find_samples(file, size, order) if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE" else None
    mended = b""
    if data is not None:
        start, length = data
        if length > size - start or (length == 0 and not _only_chunks(file, start, size, order)):
            file.seek(0)
            mended = file.read(start - 4) + struct.pack(f"{order}I", min(size - start, 0xFFFFFFFF))
            mended = mended[:4] + struct.pack(f"{order}I", min(size - 8, 0xFFFFFFFF)) + mended[8:]
    file.seek(0)
    return mended


def _only_chunks(file: BinaryIO, position: int, size: int, order: str) -> bool:
    """Whether from ``position`` to the end there are chunks of printable names and no samples."""
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        position += 8 + length + length % 2
    return position >= size


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
    start = 10 + syncsafe(head[6:10]) if head[:3] == b"ID3" and len(head) == 10 else 0
    file.seek(start)
    first = file.read(_MP3_HEAD)
    file.seek(0)
    return not is_mp3 or any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def syncsafe(field: bytes) -> int:
    """ID3v2 sizes hold seven bits per byte."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(field, (21, 14, 7, 0), strict=True))


_MP3_KBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def mp3_frame_bytes(header: bytes) -> int:
    """Return the length of the layer III frame that starts with these 4 bytes; 0 if they are no such header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer, bits, rate = header[1] >> 3 & 3, header[1] >> 1 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != 1 or rate == 3 or not 0 < bits < 15:
        return 0
    kbits = _MP3_KBITS[3 if version == 3 else 2][bits - 1]
    return (144_000 if version == 3 else 72_000) * kbits // _MP3_RATES[version][rate] + (header[2] >> 1 & 1)
