"""Training: what is taught, that the base stays as it is, and that a run can be broken off."""

import argparse
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.cli.training_options import keep_out
from jobs.train_adapter import main
from pipeline.acoustic import adapter_checkpoint, checkpoint
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.loading import load_model
from pipeline.config import AcousticConfig, joint, override
from pipeline.config.fingerprint import model_fingerprint
from pipeline.errors import ModelError
from pipeline.training import adapter_states
from pipeline.training.adapter_alignment import SILENT, align_tokens
from pipeline.training.adapter_data import NO_BIAS, UNKNOWN, Utterance, attention_targets, label
from pipeline.training.adapter_loop import thin
from pipeline.training.adapter_states import Hardening, StateRow
from tests.support.audio_files import labelled_noise, noise
from tests.support.checkpoints import save_wav2vec
from tests.support.tiny_model import tiny_model
from tests.support.workers import RAY


def test_alignment_says_what_is_spoken_where() -> None:
    log_probs = np.log(np.full((6, 4), 0.05, np.float32))
    for frame, token in enumerate([0, 2, 2, 0, 3, 0]):
        log_probs[frame, token] = 0.0
    assert align_tokens(log_probs, [2, 3], 0).tolist() == [SILENT, 0, 0, SILENT, 1, SILENT]
    assert align_tokens(log_probs[:1], [2, 3], 0) is None


def test_attention_is_taught_the_subword_or_nothing() -> None:
    row = StateRow("u", "s", "say ox", np.zeros((1, 7, 2), np.float16))
    spoken = np.array([SILENT, 0, SILENT, SILENT, 1, SILENT, 2], np.int32)
    one = Utterance(row, ("say", "ox"), (4, 5, 6), (0.0, 1.0, 1.0), spoken)
    taught = attention_targets(one, [(1, 2, 3)], 10)  # "ox" is spelling 3 of 10
    assert taught.tolist() == [NO_BIAS, NO_BIAS, NO_BIAS, UNKNOWN, 3, UNKNOWN, 13]
    assert attention_targets(one, [], 10).tolist() == [NO_BIAS] * 7


def test_hardening_is_fixed_by_the_id() -> None:
    hard, audio = Hardening((0.9, 1.1), (5.0, 10.0)), noise(1.0)
    first, again = hard.apply(audio, "a"), hard.apply(audio, "a")
    assert np.array_equal(first, again)
    assert {round(len(hard.apply(audio, f"u{n}")) / len(audio), 1) for n in range(20)} == {0.9, 1.1}


def test_lists_are_thinned_alike() -> None:
    assert thin([["a"] * 10, ["b"] * 2], 6) == [["a"] * 4, ["b"] * 2]
    assert thin([["a"] * 3, ["b"]], 100) == [["a"] * 3, ["b"]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with texts: enough to run the recipe, nothing to learn from."""
    path = tmp_path_factory.mktemp("speech") / "speech.parquet"
    texts = ["zebedee jumps", "dizzy fox", "seventy boxes", "lazy quirinus", "over the dog", "liquor jugs"]
    return labelled_noise(path, texts, speakers=3)


def arguments(base: Path, speech: Path, folder: Path, steps: int, *more: str) -> list[str]:
    return [
        "--model", str(base), "--train", str(speech), "--validation-speakers", "s2", "--cache", str(folder / "cache"),
        "--output", str(folder / "adapter"), "--steps", str(steps), "--validate-every", "2", "--batch-frames", "200",
        "--cell-budget", "20000", "--most-distractors", "5", "--adversarial", "0", "--sound-alikes", "0", *more,
    ]  # fmt: skip


def test_training_leaves_the_base_alone_and_resumes(base: Path, speech: Path, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in checkpoint.load(base)[0].state_dict().items()}
    assert main(arguments(base, speech, tmp_path, 4)) == 0
    stored = adapter_checkpoint.load(tmp_path / "adapter")
    assert "4 steps" in (tmp_path / "adapter" / "MODEL_CARD.md").read_text()
    assert stored.base == model_fingerprint(str(base))
    after = checkpoint.load(base)[0].state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    output = load_model(AcousticConfig(model=str(base))).output_layer()
    assert torch.equal(stored.adapter.output.weight, output.weight.half().float())  # the copy has not moved either
    untrained = {name for name, _ in stored.adapter.named_parameters()}
    assert not untrained & {"output.weight", "output.bias"}

    curve = (tmp_path / "adapter" / "training" / "curve.jsonl").read_text().splitlines()
    assert main(arguments(base, speech, tmp_path, 6)) == 0
    longer = (tmp_path / "adapter" / "training" / "curve.jsonl").read_text().splitlines()
    assert longer[: len(curve)] == curve
    assert [line for line in longer[len(curve) :] if '"step": 6' in line]
    assert not [line for line in longer[len(curve) :] if '"step": 2' in line]  # nothing is done again


@RAY
def test_two_workers_of_ray_train(base: Path, speech: Path, tmp_path: Path) -> None:
    interrupt = signal.getsignal(signal.SIGINT)
    assert main(arguments(base, speech, tmp_path, 2, "--workers", "2")) == 0
    assert signal.getsignal(signal.SIGINT) is interrupt
    assert adapter_checkpoint.load(tmp_path / "adapter").base == model_fingerprint(str(base))


def test_bad_input_is_said(base: Path, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = arguments(base, speech, tmp_path, 2)
    bad[bad.index("s2")] = "nobody"
    assert main(bad) == 2
    assert "nobody" in capsys.readouterr().err
    bad[bad.index(str(speech))] = "missing.parquet"
    assert main(bad) == 2
    assert "missing.parquet" in capsys.readouterr().err
    with pytest.raises(ModelError, match="not an adapter directory"):
        adapter_checkpoint.load(tmp_path)


def test_states_are_cached_once_and_read_back(base: Path, speech: Path, tmp_path: Path) -> None:
    model = load_model(AcousticConfig(model=str(base), dtype="float32"))
    path = adapter_states.build(speech, tmp_path, model, Hardening())
    changed = path.stat().st_mtime_ns
    assert adapter_states.build(speech, tmp_path, model, Hardening()).stat().st_mtime_ns == changed
    rows = adapter_states.read(path)
    assert [row.utterance_id for row in rows] == [f"u{n}" for n in range(6)]
    assert rows[0].states.shape == (3, rows[0].frames, 32)
    assert rows[0].phones is not None
    labelled = label(rows, model.tokens, model.output_layer())
    assert [len(one.tokens) for one in labelled] == [len(model.tokens.encoder(row.text)) for row in rows]


def test_a_model_of_transformers_gets_one_in_one_command(speech: Path, tmp_path: Path) -> None:
    base = save_wav2vec(tmp_path / "mine", "wav2vec2-layer")
    small = ["--steps", "2", "--validate-every", "2", "--batch-frames", "200", "--most-distractors", "5"]
    small += ["--adversarial", "0", "--sound-alikes", "0", "--cell-budget", "20000"]
    command = ["--model", str(base), "--train", str(speech), *small]
    assert main(command) == 0
    beside = tmp_path / "mine_adapter"
    assert {path.name for path in beside.iterdir()} == {
        "MODEL_CARD.md", "adapter.json", "adapter.safetensors", "training", "training_words.txt",
    }  # fmt: skip
    said = (beside / "MODEL_CARD.md").read_text()
    assert "adapter of `mine`" in said
    assert "on 4 utterances of 2 speakers" in said  # every tenth speaker, so one of three, validates
    config = resolved(override(joint(), {"acoustic": {"model": str(base)}}))
    assert config.adapter is not None
    assert config.adapter.model == str(beside)
    assert main(command) == 0  # the same command again finds its work done
    curve = (beside / "training" / "curve.jsonl").read_text().splitlines()
    assert len([line for line in curve if "validation" in line]) == 1


def test_one_speaker_validates_too_and_the_shipped_adapter_is_not_written_over(
    speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ["lj"] * 12
    training, held_out = keep_out(argparse.Namespace(validation_speakers=[]), known, lambda one: one)
    assert (len(training), len(held_out)) == (10, 2)
    assert main(["--train", str(speech)]) == 2
    assert "beside the shipped model there is its own adapter already" in capsys.readouterr().err
