import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio.decode import (
    MAX_SECONDS,
    SAMPLE_RATE,
    decode_audio,
    encode_flac,
    open_audio,
    resampled,
    to_pcm,
)
from pipeline.audio.integrity import mp3_frame_bytes
from pipeline.errors import RowError
from tests.support.audio_files import encoded, encoded_m4a, noise, tone


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus"])
def test_every_libsndfile_format_keeps_length_and_pitch(kind: str) -> None:
    waveform = decode_audio(encoded(tone(2.0), kind), "a")
    assert waveform.samples.dtype == np.float32
    assert waveform.duration_seconds == pytest.approx(2.0, abs=0.01)
    assert _loudest_hertz(waveform.samples) == pytest.approx(440, abs=2)


def test_m4a_goes_through_ffmpeg(tmp_path) -> None:
    waveform = decode_audio(encoded_m4a(tone(2.0), tmp_path), "a")
    assert waveform.duration_seconds == pytest.approx(2.0, abs=0.2)  # AAC pads to its frames
    assert _loudest_hertz(waveform.samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_resampled(rate: int) -> None:
    waveform = decode_audio(encoded(tone(1.0, rate), rate=rate), "a")
    assert waveform.source_rate == rate
    assert waveform.duration_seconds == pytest.approx(1.0, abs=0.001)
    assert _loudest_hertz(waveform.samples) == pytest.approx(440, abs=2)
    assert np.abs(waveform.samples[2000:-2000]).max() == pytest.approx(0.5, abs=0.01)


def test_channels_are_averaged() -> None:
    left, right = noise(1.0, seed=1), noise(1.0, seed=2)
    waveform = decode_audio(encoded(np.stack([left, right], axis=1), subtype="FLOAT"), "a")
    assert waveform.channels == 2
    np.testing.assert_allclose(waveform.samples, (left + right) / 2, atol=1e-6)


def test_silence_is_audio() -> None:
    assert not decode_audio(encoded(np.zeros(16_000, np.float32), "flac"), "a").samples.any()


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_truncated_audio_is_refused(kind: str, share: float) -> None:
    data = encoded(noise(5.0), kind)
    with pytest.raises(RowError, match=r"row-7: .*truncated"):
        decode_audio(data[: int(len(data) * share)], "row-7")


def test_truncated_m4a_is_refused_with_its_index_in_front_or_behind(tmp_path) -> None:
    whole = encoded_m4a(noise(5.0), tmp_path)
    with pytest.raises(RowError, match="row-7: not audio that can be decoded"):
        decode_audio(whole[: len(whole) // 2], "row-7")
    whole = encoded_m4a(noise(5.0), tmp_path, index_first=True)
    with pytest.raises(RowError, match=r"row-7: audio is truncated or corrupt after \d"):
        decode_audio(whole[: len(whole) // 2], "row-7")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"audio is empty \(0 bytes\)"),
        (b"not audio at all\n" * 200, "not audio that can be decoded"),
        (bytes(10_000), "not audio that can be decoded"),
        (np.random.default_rng(1).bytes(50_000), "not audio that can be decoded"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not audio that can be decoded"),
        (encoded(np.zeros(0, np.float32)), "0.0 ms long; needed is at least 25 ms"),
        (encoded(np.zeros(100, np.float32)), "6.2 ms long"),
        (encoded(20_000 * noise(1.0), subtype="FLOAT"), r"full scale is 1.0"),
    ],
)
def test_what_is_no_audio_says_so(data: bytes, message: str) -> None:
    with pytest.raises(RowError, match=f"row-7: .*{message}"):
        decode_audio(data, "row-7")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_samples_that_are_no_numbers_are_refused(bad: float, rate: int) -> None:
    samples = noise(1.0, rate)
    samples[[5, 700]] = bad
    with pytest.raises(RowError, match="row-7: 2 samples are NaN or infinite"):
        decode_audio(encoded(samples, rate=rate, subtype="FLOAT"), "row-7")


def test_too_long_audio_is_refused_with_the_fix() -> None:
    data = encoded(np.zeros(int(8_000 * (MAX_SECONDS + 1)), np.float32), "flac", rate=8_000)
    with pytest.raises(RowError, match=r"longer than 120 s; cut it with .*jobs.ingest"):
        decode_audio(data, "a")
    assert decode_audio(data, "a", max_seconds=200).duration_seconds == pytest.approx(121)


def test_blocks_join_to_what_one_piece_would_be() -> None:
    """An hour is decoded in blocks: their edges must not be heard."""
    data = encoded(tone(70.0, 8_000), "flac", rate=8_000)
    blocks = list(resampled(open_audio(io.BytesIO(data), "a"), "a"))
    assert len(blocks) > 2
    joined = np.concatenate(blocks)
    np.testing.assert_allclose(joined[100:-100], tone(70.0)[100:-100], atol=0.01)


def test_flac_is_lossless_to_16_bit_and_clips() -> None:
    samples = np.concatenate([noise(1.0), [2.0, -2.0]]).astype(np.float32)
    again = decode_audio(encode_flac(samples), "a").samples
    np.testing.assert_allclose(again, np.clip(samples, -1, 1), atol=1 / 32_000)


def test_a_wav_from_a_pipe_states_no_size_and_is_read() -> None:
    data = bytearray(encoded(noise(1.0)))
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert decode_audio(bytes(data), "a").duration_seconds == pytest.approx(1.0)


def test_a_wav_in_an_unknown_codec_is_a_row_error() -> None:
    data = bytearray(encoded(noise(0.5)))
    data[20:22] = b"\x00\x00"  # the format tag
    with pytest.raises(RowError, match=r"a: not audio that can be decoded .*codec that FFmpeg does not know"):
        decode_audio(bytes(data), "a")


_WHOLE = {kind: encoded(noise(0.5), kind) for kind in ("wav", "flac", "mp3", "ogg", "opus")}


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(_WHOLE)), at=st.floats(0, 1), damage=st.binary(min_size=1, max_size=40))
def test_damage_is_a_row_error_or_harmless(kind: str, at: float, damage: bytes) -> None:
    data = bytearray(_WHOLE[kind])
    start = int(at * len(data))
    data[start : start + len(damage)] = damage
    try:
        waveform = decode_audio(bytes(data), "row-7")
    except RowError:
        return
    assert np.isfinite(waveform.samples).all()
    assert len(waveform.samples) >= 400


def _loudest_hertz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples))


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus"])
@pytest.mark.parametrize("rates", [(16_000, 16_000, 16_000), (48_000, 16_000, 24_000)])
def test_streams_joined_in_one_file_are_all_read(kind: str, rates: tuple[int, ...]) -> None:
    """What `cat a.mp3 b.mp3 c.mp3` writes, and chained Ogg: every stream's tone in its place."""
    pitches = (440.0, 880.0, 660.0)
    parts = [encoded(tone(2.0, rate, hertz), kind, rate) for rate, hertz in zip(rates, pitches, strict=True)]
    samples = decode_audio(b"".join(parts), "row-7").samples
    assert len(samples) / SAMPLE_RATE == pytest.approx(6.0, abs=0.25)
    for at, hertz in zip((1.0, 3.0, 5.0), pitches, strict=True):
        piece = samples[int((at - 0.25) * SAMPLE_RATE) : int((at + 0.25) * SAMPLE_RATE)]
        assert np.abs(np.fft.rfft(piece)).argmax() * 2 == pytest.approx(hertz, abs=4)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_a_joined_stream_that_is_cut_says_which_and_how_much_is_left(kind: str) -> None:
    whole = encoded(noise(3.0), kind)
    data = whole + whole[: len(whole) // 2]
    with pytest.raises(RowError, match=r"row-7 \(stream 2 of 2 joined ones; \d+ bytes from there on\): .*truncated"):
        decode_audio(data, "row-7")


@pytest.mark.parametrize("between", [b"", b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16), b"TAG" + bytes(125)])
def test_joined_mp3_with_and_without_counts_and_tags(between: bytes) -> None:
    counted = encoded(noise(2.0), "mp3")
    bare = counted[mp3_frame_bytes(counted[:4]) :]  # without the frame that holds the count
    for first, second in [(counted, counted), (counted, bare), (bare, counted), (bare, bare)]:
        assert decode_audio(first + between + second, "a").duration_seconds == pytest.approx(4.0, abs=0.25)


def test_an_mp3_that_is_cut_before_the_next_one_is_refused() -> None:
    whole = encoded(noise(3.0), "mp3")
    with pytest.raises(RowError, match="stream 1 of 2 joined ones"):
        decode_audio(whole[: len(whole) // 2] + whole, "a")


def test_different_formats_in_one_file_are_read_too() -> None:
    data = encoded(tone(1.0), "wav") + encoded(tone(1.0), "flac") + encoded(tone(1.0), "ogg")
    assert decode_audio(data, "row-7").duration_seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    "size",
    [0, 0x7FFFFFFE, 0x7FFFFFFF - 36, 0x80000000, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 32_004, 32_016, 32_044],
)
def test_sizes_as_recorders_and_pipes_write_them(size: int) -> None:
    data = bytearray(encoded(tone(1.0)))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", 0 if size == 0 else min(size + 36, 0xFFFFFFFF))
    assert decode_audio(bytes(data), "a").duration_seconds == 1.0


@pytest.mark.parametrize("missing", [1, 3, 43, 127])
def test_a_wav_that_ends_within_a_sample_is_truncated(missing: int) -> None:
    with pytest.raises(RowError, match="wav is truncated"):
        decode_audio(encoded(tone(1.0))[:-missing], "a")


@pytest.mark.parametrize("size", [0x7FFF0000, 0x7FFFEFFE, 0x80010000, 0xFFFF0000, 0xFFFFEFFE])
def test_a_wav_of_nearly_2_or_4_gib_is_checked_like_others(size: int) -> None:
    data = bytearray(encoded(tone(1.0)))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    with pytest.raises(RowError, match="wav is truncated"):
        decode_audio(bytes(data), "a")


def test_a_wav_without_samples_but_with_tags_stays_empty() -> None:
    data = bytearray(encoded(tone(1.0)[:0])) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(RowError, match=r"0\.0 ms long"):
        decode_audio(bytes(data), "a")


def test_sixteen_bits_are_passed_on_as_they_are() -> None:
    every = np.arange(-32_768, 32_768, dtype=np.int16)
    assert np.array_equal(to_pcm(every.astype(np.float32) / 32_768), every)
    assert to_pcm(np.float32([1.0, 0.4 / 32_768, -0.6 / 32_768])).tolist() == [32_767, 0, -1]
    assert to_pcm(np.zeros(0, np.float32)).dtype == np.int16


def test_louder_audio_is_brought_down_and_not_clipped() -> None:
    assert to_pcm(np.float32([2.0, 1.0, -0.5, 0.0])).tolist() == [32_767, 16_384, -8_192, 0]
    assert to_pcm(np.float32([-4.0, 1.0])).tolist() == [-32_767, 8_192]
