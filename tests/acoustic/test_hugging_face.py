"""Tiny randomly initialised checkpoints of every supported class, saved to disk and loaded as a user's would be."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from pipeline.acoustic.hugging_face import load_hugging_face, load_hugging_face_tokens
from pipeline.acoustic.interface import CtcModel
from pipeline.config import AcousticConfig
from pipeline.errors import ConfigError, ModelError, RowError
from pipeline.types.tokens import WORD_START
from tests.support.checkpoints import LETTERS, VARIANTS, save, save_wav2vec

FAMILIES = [*VARIANTS, "parakeet", "bert", "bert-adapter"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name), name) for name in FAMILIES}


def load(directory: Path, **fields: object) -> CtcModel:
    return load_hugging_face(AcousticConfig(model=str(directory), dtype="float32", device="cpu", **fields))  # type: ignore[arg-type]


def waves() -> list[np.ndarray]:
    noise = np.random.default_rng(3)
    return [noise.normal(0, 0.1, samples).astype(np.float32) for samples in (16_000, 5_000, 9_777)]


@pytest.mark.parametrize("variant", FAMILIES)
def test_row_does_not_depend_on_its_batch(saved: dict[str, Path], variant: str) -> None:
    model = load(saved[variant], top_k=64)
    vocabulary = len(model.tokens.pieces)
    together = model.encode(waves(), with_states=True)
    for wave, batched in zip(waves(), together, strict=True):
        alone = model.encode([wave], with_states=True)[0]
        np.testing.assert_allclose(batched.tokens.dense(vocabulary), alone.tokens.dense(vocabulary), atol=2e-2)
        np.testing.assert_allclose(batched.states, alone.states, atol=1e-2)


@pytest.mark.parametrize("variant", FAMILIES)
def test_alone_it_is_what_transformers_computes(saved: dict[str, Path], variant: str) -> None:
    model, wave = load(saved[variant], top_k=64), waves()[0]
    network = transformers.AutoModelForCTC.from_pretrained(saved[variant]).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(saved[variant])
    with torch.no_grad():
        probs = network(**extractor(wave, sampling_rate=16_000, return_tensors="pt")).logits[0].softmax(-1).numpy()
    ours = np.exp(model.encode([wave])[0].tokens.dense(len(model.tokens.pieces)))
    letter, delimiter = model.tokens.encoder("e")[-1], model.tokens.pieces.index(WORD_START)
    theirs = probs[: len(ours), letter] / probs[: len(ours), delimiter]  # a ratio: what is never written is left out
    np.testing.assert_allclose(ours[:, letter] / ours[:, delimiter], theirs, rtol=2e-2)


@pytest.mark.parametrize(
    ("variant", "step"), [("hubert", 0.02), ("parakeet", 0.08), ("bert", 0.02), ("bert-adapter", 0.04)]
)
def test_frames_and_states(saved: dict[str, Path], variant: str, step: float) -> None:
    model = load(saved[variant])
    emissions = model.encode([waves()[0]], with_states=True)[0]
    assert model.frame_seconds == pytest.approx(step)
    assert emissions.tokens.frames == pytest.approx(1.0 / step, abs=1)
    assert emissions.states is not None
    assert emissions.states.shape == (3, emissions.tokens.frames, 16)  # layers 1 and 2 of 3, and the last
    assert emissions.states.dtype == np.float16
    assert model.phones is None


def test_a_model_of_telephones_hears_their_rate(saved: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "telephones"
    shutil.copytree(saved["hubert"], folder)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sampling_rate": 8_000}))
    model, usual = load(folder, top_k=64), load(saved["hubert"], top_k=64)
    assert model.frame_seconds == pytest.approx(2 * usual.frame_seconds)  # as many samples a frame
    times = np.arange(32_000) / 16_000  # a rising tone, below what 8 kHz can hold
    wave = (0.1 * np.sin(2 * np.pi * (300 * times + 500 * times**2))).astype(np.float32)
    heard, wanted = model.encode([wave])[0].tokens, usual.encode([wave[::2]])[0].tokens  # every second sample of it
    inner = slice(2, -2)  # at the ends the filter of the resampler has nothing to go by
    vocabulary = len(model.tokens.pieces)
    np.testing.assert_allclose(heard.dense(vocabulary)[inner], wanted.dense(vocabulary)[inner], atol=2e-2)
    whole = (wave * 32_767).astype(np.int16)
    assert model.encode([whole])[0].tokens.frames == heard.frames


def test_tapped_layers_are_chosen(saved: dict[str, Path]) -> None:
    every = load(saved["hubert"], tapped_layers=(1, 2, 3)).encode([waves()[0]], with_states=True)[0].states
    second = load(saved["hubert"], tapped_layers=(2,)).encode([waves()[0]], with_states=True)[0].states
    np.testing.assert_array_equal(second, every[[1, 3]])  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"\[4\].*1 to 3"):
        load(saved["hubert"], tapped_layers=(2, 4))


def test_characters_with_a_delimiter(saved: dict[str, Path]) -> None:
    tokens = load(saved["hubert"]).tokens
    assert tokens.blank == 0
    assert tokens.pieces[0] == ""
    assert tokens.pieces[4] == WORD_START
    ids = tokens.encoder("it's on")
    assert [LETTERS[i] for i in ids] == ["I", "T", "'", "S", "|", "O", "N"]
    assert tokens.decode(ids) == "it's on"
    assert tokens.sampler("on", 5) == [tokens.encoder("on")]
    with pytest.raises(RowError, match="cannot spell '4'"):
        tokens.encoder("4")


def test_subwords_fold_case_and_punctuation(saved: dict[str, Path]) -> None:
    model = load(saved["parakeet"], top_k=64)
    tokens = model.tokens
    assert tokens.encoder("the s") == [2, 1, 4]
    assert tokens.decode(tokens.encoder("the s")) == "the s"
    several = tokens.sampler("the", 2)
    assert several[0] == [2]
    assert "".join(tokens.pieces[i] for i in several[1]) == "▁the"
    kept = model.encode([waves()[0]])[0].tokens.dense(len(tokens.pieces))
    assert (kept[:, 3] <= -19.9).all()  # "▁The" is heard as "▁the",
    assert (kept[:, 6] <= -19.9).all()  # the comma as the blank,
    assert (kept[:, 0] <= -19.9).all()  # and <unk> never
    np.testing.assert_allclose(np.exp(kept).sum(axis=1), 1.0, atol=2e-2)


def test_tokens_alone(saved: dict[str, Path]) -> None:
    for variant in ("hubert", "parakeet"):
        tokens, loaded = load_hugging_face_tokens(AcousticConfig(str(saved[variant]))), load(saved[variant]).tokens
        assert (tokens.pieces, tokens.blank) == (loaded.pieces, loaded.blank)
        assert tokens.encoder("the s") == loaded.encoder("the s")


def test_audio_shorter_than_a_frame(saved: dict[str, Path]) -> None:
    for variant in ("hubert", "parakeet"):
        emissions = load(saved[variant]).encode([np.zeros(0, np.float32), waves()[0]])
        assert emissions[0].tokens.frames >= 1
        assert np.isfinite(emissions[0].tokens.values).all()
    assert load(saved["hubert"]).encode([]) == []


def test_model_id_is_of_the_content(saved: dict[str, Path], tmp_path: Path) -> None:
    first = load(saved["hubert"])
    assert first.model_id == load(save(tmp_path, "hubert")).model_id
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    weights["lm_head.bias"][0] += 1
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert first.model_id != load(tmp_path).model_id
    assert math.isclose(first.max_seconds, 30.0)


def test_missing_and_pickled_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(tmp_path)
    save(tmp_path, "hubert")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no .*safetensors"):
        load(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle.*save_pretrained"):
        load(tmp_path)


def with_vocabulary(directory: Path, pieces: list[str], **tokenizer: str) -> AcousticConfig:
    save_wav2vec(directory, "wav2vec2-layer")
    (directory / "vocab.json").write_text(json.dumps({piece: id_ for id_, piece in enumerate(pieces)}))
    transformers.Wav2Vec2CTCTokenizer(str(directory / "vocab.json"), **tokenizer).save_pretrained(directory)
    return AcousticConfig(model=str(directory))


def test_markup_beyond_the_head_is_what_fine_tuning_adds(tmp_path: Path) -> None:
    pieces = ["<pad>", "<unk>", "|", "'", *"abcdefghijklmnopqrstuvwxyz", "-"]  # as many as the head writes, then more
    config = with_vocabulary(tmp_path, [*pieces, "é", "<s>", "</s>"], bos_token="<s>", eos_token="</s>")
    tokens = load_hugging_face_tokens(config)
    assert len(tokens.pieces) == len(LETTERS) == len(pieces) + 1
    assert tokens.decode(tokens.encoder("the cat")) == "the cat"
    with pytest.raises(ModelError, match=rf"{tmp_path}: the tokenizer has ids up to 3[0-9].*'zz'"):
        load_hugging_face_tokens(with_vocabulary(tmp_path, [*pieces, "é", "zz"]))


def test_letters_of_the_vocabulary_stay(tmp_path: Path) -> None:
    pieces = ["<pad>", "<s>", "</s>", "<unk>", "|", *"абвгдежзийклмнопрстуфхцчшщъ"]
    russian = load_hugging_face_tokens(with_vocabulary(tmp_path, pieces))
    assert russian.decode(russian.encoder("чайка")) == "чайка"
    assert russian.alphabet.letters == "абвгдежзийклмнопрстуфхцчшщъ"
    german = load_hugging_face_tokens(with_vocabulary(tmp_path, [*LETTERS[:-1], "Ä"]))
    assert (german.pieces[-1], german.alphabet.letters) == ("ä", "abcdefghijklmnopqrstuvwxyzä")


@pytest.mark.parametrize("name", ["vocab.json", "preprocessor_config.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    save_wav2vec(tmp_path, "wav2vec2-layer")
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} or .* is missing"):
        load_hugging_face(AcousticConfig(model=str(tmp_path)))


def test_corrupt_checkpoints(tmp_path: Path) -> None:
    save(tmp_path, "hubert")
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    del weights["lm_head.weight"]
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack \['lm_head.weight'\].*fine-tuned for CTC"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type 'bert'; supported are"):
        load(tmp_path)
