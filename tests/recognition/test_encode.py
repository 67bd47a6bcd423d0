from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acoustic.loading import load_model
from pipeline.config import AcousticConfig, BeamConfig, RunConfig
from pipeline.decoding.build import build_decoder
from pipeline.entities.lists import EntitySource
from pipeline.entities.loading import build_list
from pipeline.recognition.encode import Encoder, encode_or_split, pack
from pipeline.recognition.transcribe import Transcriber, read_emissions
from pipeline.schemas import EMISSIONS, EMISSIONS_REQUIRED, ORIGIN, TRANSCRIPTS
from pipeline.types.emissions import Emissions, SparseLogProbs
from tests.support.audio_files import encoded, noise
from tests.support.tiny_model import tiny_model


@given(st.lists(st.floats(0.1, 30), max_size=60), st.floats(1, 100))
def test_packing_keeps_the_budget_and_every_item(lengths: list[float], budget: float) -> None:
    batches = pack(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget


def test_packing_puts_like_lengths_together() -> None:
    assert pack([1, 9, 2, 10], 20) == [[3, 1], [2, 0]]


def fake(frames: int) -> Emissions:
    return Emissions(SparseLogProbs(np.zeros((frames, 1), np.int16), np.zeros((frames, 1), np.float16)))


def test_a_failing_batch_is_halved_down_to_the_culprit() -> None:
    calls = []

    def encode(waves: Sequence[np.ndarray]) -> list[Emissions]:
        calls.append(len(waves))
        if len(waves) > 2:
            raise RuntimeError("out of memory")
        if any(wave.size == 3 for wave in waves):
            raise ValueError("three samples")
        return [fake(wave.size) for wave in waves]

    results = encode_or_split(encode, [np.zeros(n, np.float32) for n in (1, 2, 3, 4, 5)])
    assert [r.tokens.frames if isinstance(r, Emissions) else str(r) for r in results] == [1, 2, "three samples", 4, 5]
    assert calls[0] == 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


def audio_table(rows: dict[str, bytes | None], **columns: object) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    audio = pa.array([{"bytes": data, "path": None} for data in rows.values()], kind)
    return pa.table({"utterance_id": list(rows), "audio": audio, **columns})


def test_audio_to_transcripts_row_by_row(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder), dtype="float32"))
    rows = {"long": encoded(noise(2.0, seed=1)), "bad": b"no", "short": encoded(noise(0.5, seed=2))}
    lists = pa.array([["Lviv"], None, []], pa.list_(pa.string()))
    emissions = Encoder(model, 60.0, "lists").encode(audio_table(rows, lists=lists))
    assert emissions.schema.equals(EMISSIONS)
    assert emissions["utterance_id"].to_pylist() == ["long", "bad", "short"]
    assert emissions["entities"].to_pylist() == [["Lviv"], None, []]
    assert [error is None for error in emissions["error"].to_pylist()] == [True, False, True]

    alone = model.encode([noise(2.0, seed=1)])[0]  # what the file holds, but for 16 bits
    kept = next(read_emissions(emissions))[1]
    assert kept is not None
    assert kept.tokens.ids.shape == alone.tokens.ids.shape
    assert kept.phone_log_probs is not None
    assert alone.phone_log_probs is not None
    assert kept.phone_log_probs.shape == alone.phone_log_probs.shape

    config = RunConfig(language_model=None, beam=BeamConfig(decoder="greedy"))
    source = EntitySource(build_list([(1, {"entity": "Kyiv"})]))
    transcripts = Transcriber(build_decoder(config, model.tokens), source, "f").transcribe(emissions)
    assert transcripts.schema.equals(TRANSCRIPTS)
    first, bad, last = transcripts.to_pylist()
    assert bad["error"] == emissions["error"][1].as_py()
    assert bad["text"] is None
    assert first["text"] == " ".join(word["word"] for word in first["words"])
    assert first["list_version"] != last["list_version"] == source.corpus.version
    assert all(0 <= word["start_seconds"] < word["end_seconds"] <= 2.1 for word in first["words"])


def test_batches_are_counted_with_their_padding(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder), dtype="float32"))
    rows = {str(n): encoded(noise(0.5 + n / 4, seed=n)) for n in range(5)} | {"bad": b"no"}
    encoder = Encoder(model, 60.0)
    encoder.encode(audio_table(rows))
    before = encoder.work
    assert (before.batches, before.padded_seconds) == (5, 5.0)  # on a CPU each is a batch of its own
    model.together = True
    encoder.encode(audio_table(rows))
    more = encoder.work - before
    assert (more.batches, more.padded_seconds) == (1, 5 * 1.5)
    assert more.seconds > 0


def test_a_device_that_was_too_small_is_given_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(AcousticConfig(model=str(folder), dtype="float32"))
    model.together = True
    rows, sizes, real = {str(n): encoded(noise(1.0, seed=n)) for n in range(8)}, [], model.begin

    def begin(waveforms: Sequence[np.ndarray], *args: object, **options: object) -> object:
        sizes.append(len(waveforms))
        if len(waveforms) > 4:
            raise torch.OutOfMemoryError("there are 4 s of memory")
        return real(waveforms, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "begin", begin)
    encoder = Encoder(model, 60.0)
    first, second = (encoder.encode(audio_table(rows)) for _ in range(2))
    assert sizes == [8, 4, 4, 4, 4]
    assert first["error"].null_count == second["error"].null_count == 8


def test_where_a_row_comes_from_travels_along(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder), dtype="float32"))
    rows = {"cut": encoded(noise(0.5, seed=1)), "bad": b"no"}
    known = {
        "speaker": pa.array(["ann", None], pa.large_string()),
        "recording_id": ["talk", "talk"],
        "recording_path": ["Talk – 1.wav", "Talk – 1.wav"],
        "start_seconds": pa.array([1.5, 2.0], pa.float32()),
    }
    emissions = Encoder(model, 60.0).encode(audio_table(rows, **known))
    config = RunConfig(language_model=None, beam=BeamConfig(decoder="greedy"))
    transcriber = Transcriber(build_decoder(config, model.tokens), EntitySource(), "f")
    place = {"recording_id": "talk", "recording_path": "Talk – 1.wav", "tenant": None, "session": None}
    wanted = [
        {"speaker": "ann", "start_seconds": 1.5, "end_seconds": None} | place,
        {"speaker": None, "start_seconds": 2.0, "end_seconds": None} | place,
    ]
    for table in (emissions, transcriber.transcribe(emissions)):
        assert [{name: row[name] for name in ORIGIN} for row in table.to_pylist()] == [
            {name: row[name] for name in ORIGIN} for row in wanted
        ]
    earlier = transcriber.transcribe(emissions.select(EMISSIONS_REQUIRED))
    assert earlier.drop_columns(list(ORIGIN)).equals(transcriber.transcribe(emissions).drop_columns(list(ORIGIN)))
    assert all(earlier[name].null_count == 2 for name in ORIGIN)


def test_sliced_tables_read_the_right_rows(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder)))
    rows = {f"n{n}": encoded(noise(0.5 + n / 4, seed=n)) for n in range(4)}
    whole = Encoder(model, 60.0).encode(audio_table(rows))
    expected = [heard for _, heard in read_emissions(whole)]
    sliced = [heard for _, heard in read_emissions(whole.slice(2))]
    joined = [heard for _, heard in read_emissions(pa.concat_tables([whole.slice(1, 1), whole.slice(3)]))]
    for got, wanted in zip([*sliced, *joined], [*expected[2:], expected[1], expected[3]], strict=True):
        assert got is not None
        assert wanted is not None
        assert np.array_equal(got.tokens.ids, wanted.tokens.ids)
        assert np.array_equal(got.tokens.values, wanted.tokens.values)


def test_an_earlier_error_is_kept(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder)))
    table = audio_table({"a": encoded(noise(0.5))}, error=pa.array(["a: broken before"], pa.string()))
    assert Encoder(model, 60.0).encode(table)["error"].to_pylist() == ["a: broken before"]


def test_audio_longer_than_the_model_takes(folder: Path) -> None:
    model = load_model(AcousticConfig(model=str(folder)))
    model.max_seconds = 1.0
    rows = {"fits": encoded(noise(1.0)), "long": encoded(noise(1.1))}
    errors = Encoder(model, 60.0).encode(audio_table(rows))["error"].to_pylist()
    assert errors[0] is None
    assert errors[1].startswith("long: audio is 1.1 s long, the model takes at most 1 s")
