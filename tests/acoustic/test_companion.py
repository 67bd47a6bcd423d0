"""Phones of our model beside a user's: the same phones, on their own clock, and nothing above them computed."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.companion import WithPhones
from pipeline.acoustic.companion_files import settled
from pipeline.acoustic.interface import CtcModel
from pipeline.acoustic.loading import load_model
from pipeline.config import AUTO, AcousticConfig, RunConfig
from pipeline.config.fingerprint import config_fingerprint
from pipeline.errors import ConfigError
from pipeline.recognition.emission_rows import read_emissions
from pipeline.recognition.encode import Encoder
from pipeline.runs.emission_cache import acoustic_identity, write_emissions
from pipeline.schemas import EMISSIONS, PHONE_CLOCK
from tests.support.audio_files import encoded, noise
from tests.support.checkpoints import save_parakeet, save_wav2vec
from tests.support.tiny_model import tiny_model, tiny_network
from tests.support.transcribing import write_corpus

ENGLISH_CARD = "---\nlanguage: en\n---\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ("ours", "wav2vec", "parakeet")}
    tiny_model(made["ours"])
    save_wav2vec(made["wav2vec"], "wav2vec2-layer")
    save_parakeet(made["parakeet"])
    return made


def config(model: Path, phones: Path | None) -> AcousticConfig:
    return AcousticConfig(str(model), phones=None if phones is None else str(phones), dtype="float32", device="cpu")


def load(folders: dict[str, Path], name: str) -> CtcModel:
    return load_model(config(folders[name], folders["ours"]))


def waves() -> list[np.ndarray]:
    made = np.random.default_rng(3)
    return [made.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 5_000, 16_000 * 29, 100)]


@pytest.mark.parametrize(("name", "step"), [("wav2vec", 0.02), ("parakeet", 0.08)])
def test_the_phones_are_those_of_our_model_and_the_rest_is_the_users(
    folders: dict[str, Path], name: str, step: float
) -> None:
    both = load(folders, name)
    alone, ours = (load_model(config(folders[which], None)) for which in (name, "ours"))
    assert isinstance(both, WithPhones)
    assert (both.frame_seconds, both.phone_frame_seconds, both.phones) == (pytest.approx(step), 0.04, ours.phones)
    assert (alone.phones, both.tokens.pieces) == (None, alone.tokens.pieces)
    assert both.model_id == f"{alone.model_id}+{ours.model_id}"
    said = [model.encode(waves(), with_states=True) for model in (both, alone, ours)]
    for heard, plain, phones in zip(*said, strict=True):
        np.testing.assert_array_equal(heard.phone_log_probs, phones.phone_log_probs)
        np.testing.assert_array_equal(heard.tokens.values, plain.tokens.values)
        np.testing.assert_array_equal(heard.states, plain.states)
        assert heard.phone_rate == pytest.approx(step / 0.04)
        assert plain.phone_log_probs is None


def test_nothing_above_the_phones_is_kept(folders: dict[str, Path]) -> None:
    front = load(folders, "wav2vec")._front._network  # type: ignore[attr-defined]
    whole = tiny_network()
    assert (len(front.head.blocks), len(whole.head.blocks), front.spelling) == (2, 3, None)
    mel, lengths = torch.randn(1, 80, 200), torch.tensor([100])
    with torch.inference_mode():
        torch.testing.assert_close(whole.hear(mel, lengths), whole(mel, lengths).phones, rtol=0, atol=0)


def test_a_model_with_phones_takes_no_others_and_only_ours_hears_them(folders: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="has its own"):
        load(folders, "ours")
    with pytest.raises(ConfigError, match="only these have a phone head"):
        load_model(config(folders["wav2vec"], folders["parakeet"]))


def test_rows_carry_the_clock(folders: dict[str, Path], tmp_path: Path) -> None:
    audio = write_corpus(tmp_path / "a.parquet", {"a": encoded(noise(1.0)), "bad": b"x"})
    table = Encoder(load(folders, "wav2vec"), 60.0).encode(pq.read_table(audio))
    assert table.column_names == [*EMISSIONS.names, *PHONE_CLOCK.names]
    row = table.to_pylist()[0]
    assert (row["phone_frames"], row["phone_frame_seconds"]) == (25, pytest.approx(0.04))
    assert row["frames"] == pytest.approx(50, abs=1)
    write_emissions(table, tmp_path / "cached.parquet")
    (_, heard), (_, failed) = read_emissions(pq.read_table(tmp_path / "cached.parquet"))
    assert heard is not None
    assert failed is None
    assert (heard.phone_rate, heard.phone_log_probs.shape) == (0.5, (25, 40))  # type: ignore[union-attr]
    plain = Encoder(load_model(config(folders["wav2vec"], None)), 60.0).encode(pq.read_table(audio))
    assert plain.schema.equals(EMISSIONS)


def test_whose_phones_are_heard_is_settled_by_the_language(folders: dict[str, Path], tmp_path: Path) -> None:
    shipped = AcousticConfig().model
    assert settled(AcousticConfig()).phones is None  # it has its own
    wav2vec = str(folders["wav2vec"])
    assert settled(AcousticConfig(wav2vec)).phones is None
    for name, wanted in (("en", shipped), ("eng", shipped), ("en-US", shipped), ("de", None)):
        assert settled(AcousticConfig(wav2vec, language=name)).phones == wanted
    assert settled(AcousticConfig(wav2vec, language="en", phones=None)).phones is None
    save_wav2vec(tmp_path, "wav2vec2-layer")
    (tmp_path / "README.md").write_text(ENGLISH_CARD)
    assert settled(AcousticConfig(str(tmp_path))).phones == shipped
    assert settled(AcousticConfig(str(tmp_path), language="de")).phones is None


def test_the_fingerprint_holds_both_models(folders: dict[str, Path]) -> None:
    def of(phones: Path | str | None) -> str:
        named = phones if phones in (None, AUTO) else str(phones)
        return config_fingerprint(RunConfig(AcousticConfig(str(folders["wav2vec"]), phones=named)))

    assert of(None) == of(AUTO) != of(folders["ours"])
    assert of(folders["ours"]) != of(AcousticConfig().model)
    english = resolved(RunConfig(AcousticConfig(str(folders["wav2vec"]), language="en")))
    assert english.acoustic.phones == AcousticConfig().model
    assert "phones" in acoustic_identity(english.acoustic)
    assert "phones" not in acoustic_identity(resolved(RunConfig()).acoustic)
