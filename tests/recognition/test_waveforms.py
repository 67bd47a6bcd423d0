"""Audio decoded in a stage of its own: the encoder writes what it writes where it decodes the audio itself."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.acoustic.loading import load_model
from pipeline.audio.decode import decode_audio, to_pcm
from pipeline.config import AcousticConfig
from pipeline.recognition.encode import Encoder
from pipeline.recognition.waveforms import is_read, read_audio, waveforms_of
from tests.support.audio_files import encoded, noise
from tests.support.tiny_model import tiny_model
from tests.support.transcribing import odd_audio

KIND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(rows: dict[str, bytes | None], **columns: object) -> pa.Table:
    audio = pa.array([{"bytes": data, "path": None} for data in rows.values()], KIND)
    return pa.table({"utterance_id": list(rows), "audio": audio, **columns})


def test_a_row_is_decoded_once_or_says_why_not() -> None:
    good = encoded(noise(0.5, seed=1), "flac")
    rows = table(
        {"a": good, "bad": b"no", "failed": good},
        error=pa.array([None, None, "failed: before"], pa.string()),
        audio_sha256=pa.array(["known", None, None], pa.string()),
        names=pa.array([["Lviv"], None, []], pa.list_(pa.string())),
    )
    read = read_audio(rows)
    assert not is_read(rows)
    assert is_read(read)
    assert "audio" not in read.column_names
    assert read["names"].to_pylist() == [["Lviv"], None, []]
    assert read["duration_seconds"].to_pylist() == [0.5, None, None]
    assert read["audio_sha256"].to_pylist() == [
        "known",
        hashlib.sha256(b"no").hexdigest(),
        hashlib.sha256(good).hexdigest(),
    ]
    first, bad, failed = read["error"].to_pylist()
    assert first is None
    assert "bad: not audio" in bad
    assert failed == "failed: before"


def test_waveforms_are_views_of_any_slice() -> None:
    rows = {f"n{n}": encoded(noise(0.1 + n / 10, seed=n)) for n in range(5)} | {"bad": b"no"}
    read = read_audio(table(rows))
    wanted = [None if name == "bad" else to_pcm(decode_audio(data, name).samples) for name, data in rows.items()]
    pieces = pa.concat_tables([read.slice(4), read.slice(1, 2)])
    for got, expected in zip(waveforms_of(pieces), [*wanted[4:], *wanted[1:3]], strict=True):
        assert (got is None) == (expected is None)
        assert got is None or (got.dtype == np.int16 and np.array_equal(got, expected))
    buffer = read.slice(1, 2)["pcm_16khz"].chunk(0).values.to_numpy()
    assert all(np.shares_memory(view, buffer) for view in waveforms_of(read.slice(1, 2)) if view is not None)


@pytest.mark.parametrize("together", [False, True])
def test_the_encoder_writes_the_same_either_way(tmp_path: Path, together: bool) -> None:
    model = load_model(AcousticConfig(model=str(tiny_model(tmp_path)), dtype="float32"))
    model.together = together
    rows = table(odd_audio(), lists=pa.array([["Lviv"]] * len(odd_audio()), pa.list_(pa.string())))
    encoder = Encoder(model, 60.0, "lists")
    fused = encoder.encode(rows)
    assert encoder.encode(pa.concat_tables([read_audio(rows.slice(0, 5)), read_audio(rows.slice(5))])).equals(fused)
    assert fused["error"].null_count == 6


def test_what_is_too_long_for_the_model_is_an_error_of_its_row(tmp_path: Path) -> None:
    model = load_model(AcousticConfig(model=str(tiny_model(tmp_path)), dtype="float32"))
    model.max_seconds = 0.4
    emissions = Encoder(model, 60.0).encode(read_audio(table({"long": encoded(noise(0.5)), "b": encoded(noise(0.3))})))
    assert emissions["error"][0].as_py().startswith("long: audio is 0.5 s long, the model takes at most 0.4 s; cut it")
    assert emissions["duration_seconds"].to_pylist() == [None, 0.3]
