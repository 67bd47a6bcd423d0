import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.acoustic import checkpoint, model_files
from pipeline.acoustic.loading import load_model
from pipeline.acoustic.model import RollcallCtc
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError, ModelError, RowError
from pipeline.types.tokens import Tokens
from tests.support.tiny_model import tiny_model, tiny_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> RollcallCtc:
    loaded = load_model(AcousticConfig(model=str(folder), top_k=8))
    assert isinstance(loaded, RollcallCtc)
    return loaded


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)


def test_emissions_have_one_frame_per_forty_milliseconds(model: RollcallCtc) -> None:
    (emissions,) = model.encode([noise(2.0)], with_states=True)
    assert model.frame_seconds == pytest.approx(0.04)
    assert emissions.tokens.ids.shape == emissions.tokens.values.shape == (50, 8)
    assert emissions.phone_log_probs is not None
    assert emissions.phone_log_probs.shape == (50, 40)
    assert emissions.states is not None
    assert emissions.states.shape == (3, 50, 32)
    assert emissions.states.dtype == np.float16


def test_an_utterance_does_not_depend_on_its_batch(model: RollcallCtc) -> None:
    alone = model.encode([noise(1.0, 1)])[0]
    together = model.encode([noise(3.0, 2), noise(1.0, 1), noise(0.7, 3)])[1]
    assert np.array_equal(alone.tokens.ids, together.tokens.ids)
    assert np.array_equal(alone.tokens.values, together.tokens.values)


def test_silence_and_very_short_audio_give_a_frame(model: RollcallCtc) -> None:
    for samples in (np.zeros(16_000, np.float32), noise(0.025)):
        assert model.encode([samples])[0].tokens.frames >= 1


def test_long_audio_is_heard_in_windows_that_fit_together(model: RollcallCtc) -> None:
    long = noise(70.0)
    (emissions,) = model.encode([long], with_states=True)
    assert emissions.tokens.frames == 70 * 25
    assert emissions.phone_log_probs is not None
    assert emissions.states is not None
    assert emissions.phone_log_probs.shape[0] == emissions.states.shape[1] == 70 * 25
    first = model.encode([long[: 28 * 16_000]])[0]  # the first window, up to the middle of the overlap
    assert np.array_equal(emissions.tokens.ids[:650], first.tokens.ids[:650])
    second = model.encode([long[24 * 16_000 : 52 * 16_000]])[0]
    assert np.array_equal(emissions.tokens.ids[650:1250], second.tokens.ids[50:650])


def test_dense_puts_the_floor_where_nothing_was_kept(model: RollcallCtc) -> None:
    sparse = model.encode([noise(0.5)])[0].tokens
    dense = sparse.dense(len(model.tokens.pieces))
    assert ((dense > -20).sum(axis=1) <= 8).all()
    assert dense.max(axis=1) == pytest.approx(sparse.values[:, 0].astype(np.float32))


def test_the_model_id_follows_the_content(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert model_files.content_hash(folder) == model_files.content_hash(other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"note": "changed"}))
    assert model_files.content_hash(folder) != model_files.content_hash(other)


def test_stored_weights_come_back_nearly_the_same(folder: Path) -> None:
    loaded, _ = checkpoint.load(folder)
    original = tiny_network().state_dict()
    assert checkpoint.compress(original)["backbone.encoder.layers.0.fc1.weight"].dtype == torch.int8
    for name, value in loaded.state_dict().items():
        assert torch.allclose(value, original[name], atol=2e-3, rtol=2e-3), name
    again = checkpoint.expand(checkpoint.compress(loaded.state_dict()))
    assert all(torch.equal(again[name], value) for name, value in loaded.state_dict().items())


def test_truncated_weights_are_named(folder: Path, tmp_path: Path) -> None:
    broken = tiny_model(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read"):
        load_model(AcousticConfig(model=str(broken)))


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    broken = tiny_model(tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    config["head"]["width"] = 64
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="do not belong together"):
        load_model(AcousticConfig(model=str(broken)))


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_model(AcousticConfig(model=str(tmp_path / "nowhere")))


def test_foreign_tapped_layers_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="fixed in training"):
        load_model(AcousticConfig(model=str(folder), tapped_layers=(1, 3)))


def test_unknown_dtype_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="dtype"):
        load_model(AcousticConfig(model=str(folder), dtype="float8"))


@pytest.fixture(scope="module")
def tokens(folder: Path) -> Tokens:
    return model_files.load_tokens(folder / "tokenizer.model")


@settings(max_examples=50, deadline=None)
@given(text=st.text("abcdefghijklmnopqrstuvwxyz' ", min_size=1))
def test_text_comes_back_from_its_pieces(tokens: Tokens, text: str) -> None:
    text = " ".join(text.split())
    assert tokens.decode(tokens.encoder(text)) == text
    for ids in tokens.sampler(text, 4):
        assert tokens.decode(ids) == text


def test_samples_differ_and_start_with_the_best(tokens: Tokens) -> None:
    samples = tokens.sampler("the lazy fox", 5)
    assert samples[0] == tokens.encoder("the lazy fox")
    assert len({tuple(sample) for sample in samples}) == len(samples) > 1


def test_text_outside_the_alphabet_is_a_row_error(tokens: Tokens) -> None:
    with pytest.raises(RowError, match=r"no \['5', '7'\]"):
        tokens.encoder("boeing 757")
