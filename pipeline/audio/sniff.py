"""Is a file audio, whatever its name is? Its first bytes tell."""

from collections.abc import Callable

from pipeline.audio.integrity import mp3_frame_bytes

HEAD_BYTES = 4_096
"""What ``is_audio`` needs to see of a file: two frames of mp3 at the highest rate."""
_MAGIC = (
    b"fLaC", b"OggS", b"ID3", b".snd", b"NIST_1A\n", b"caff", b"\x1aE\xdf\xa3", b"riff\x2e\x91\xcf\x11", b"#!AMR",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\x01", b"\x00\x00\x01\xba", b"wvpk", b"MAC ", b"TTA1", b"\x0b\x77",
)  # fmt: skip
"""First bytes of flac, ogg, mp3, au, sphere, caf, matroska, w64, amr, asf, flv, mpeg, wavpack, monkey, tta, ac3."""
_INSIDE = {b"RIFF": (b"WAVE", b"AVI "), b"RIFX": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}
_IMAGES = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"jp2 ", b"jpx ")  # in the boxes of mp4
_TS_PACKETS = (188, 192)


def is_audio(head: bytes) -> bool:
    """Whether these first bytes of a file (4,096 are enough) are of a format that holds sound."""
    if head.startswith(_MAGIC) or head[8:12] in _INSIDE.get(head[:4], ()):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] not in _IMAGES
    return head[4:8] in (b"moov", b"wide") or _is_stream(head) or _repeats(head, mp3_frame_bytes) or _is_adts(head)


def _is_stream(head: bytes) -> bool:
    """MPEG transport streams have 0x47 at the start of every packet, or four bytes later."""
    return any(
        len(head) > start + 2 * size and all(head[start + turn * size] == 0x47 for turn in range(3))
        for size, start in zip(_TS_PACKETS, (0, 4), strict=True)
    )


def _is_adts(head: bytes) -> bool:
    return _repeats(head, lambda frame: ((frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5) * _adts(frame))


def _adts(frame: bytes) -> int:
    return int(len(frame) > 5 and frame[0] == 0xFF and frame[1] & 0xF6 == 0xF0)


def _repeats(head: bytes, length_of: Callable[[bytes], int]) -> bool:
    """Whether a frame lies at the start and another just after it."""
    length = length_of(head[:6]) if len(head) > 6 else 0
    return bool(length) and len(head) >= length + 6 and bool(length_of(head[length : length + 6]))
