"""Training on features of a tiny backbone: it learns, it resumes to the same weights, it keeps what it must."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from jobs import train_base
from pipeline.acoustic import checkpoint
from pipeline.training import feature_cache
from pipeline.training.base_loop import Trainer, TrainingConfig, collapse, learning_rate_share
from pipeline.training.batches import Source, collate, draw_epoch, label, mask_time, pack
from tests.support.tiny_model import BACKBONE, TEXT, tiny_model, tiny_network, tiny_tokeniser

CONFIG = TrainingConfig(steps=6, warmup_steps=2, batch_seconds=4.0, learning_rate=3e-3)


def audio_parquet(path: Path, rows: int = 8) -> Path:
    """Rows whose text is told by the pitch, so that there is something to learn."""
    generator = np.random.default_rng(0)
    table = []
    for row in range(rows):
        tone = np.sin(np.arange(32_000) * (0.05 + 0.1 * (row % 2))) * 0.3 + generator.normal(0, 0.01, 32_000)
        sink = io.BytesIO()
        soundfile.write(sink, tone.astype(np.float32), 16_000, format="FLAC")
        table.append({
            "utterance_id": f"u{row}", "speaker": f"s{row % 4}",
            "text": ("the", "dog")[row % 2], "duration_seconds": 2.0,
            "audio": {"bytes": sink.getvalue(), "path": f"u{row}.flac"},
        })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("training")
    parquet = audio_parquet(folder / "train.parquet")
    tokens = checkpoint.load_tokens(tiny_tokeniser(folder / "tokeniser"))
    index = feature_cache.build(parquet, folder / "cache", tiny_network().backbone, 1.0, 2)
    return label(feature_cache.load_index(index), tokens.encoder, lambda word: range(1, len(word) + 1)), tokens


def train(folder: Path, examples, config: TrainingConfig = CONFIG) -> Trainer:
    labelled, tokens = examples
    trainer = Trainer(tiny_network(), config, folder, tokens.decode)
    trainer.run(lambda: [Source(labelled)], labelled[:2])
    return trainer


def test_the_cache_holds_what_the_backbone_says(examples, tmp_path: Path) -> None:
    labelled, _ = examples
    assert [example.utterance.frames for example in labelled] == [50] * 8
    reader = feature_cache.FeatureReader(128)
    batch = collate(labelled[:3], reader)
    assert batch.features.shape == (3, 50, 128)
    assert batch.features.abs().sum() > 0


def test_rows_that_cannot_be_trained_on_are_left_out(tmp_path: Path) -> None:
    parquet = audio_parquet(tmp_path / "train.parquet", rows=4)
    rows = pq.read_table(parquet).to_pylist()
    rows[0]["text"], rows[1]["text"], rows[2]["audio"]["bytes"] = "", "in 1066", b"no audio"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    index = feature_cache.build(parquet, tmp_path / "cache", tiny_network().backbone, 1.0, 2)
    assert [utterance.utterance_id for utterance in feature_cache.load_index(index)] == ["u3"]


def test_it_learns(tmp_path: Path, examples) -> None:
    config = dataclasses.replace(CONFIG, steps=60, learning_rate=1e-2, batch_seconds=30.0, patience=99)
    train(tmp_path, examples, config)
    curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    losses = [point["loss"] for point in curve if point["kind"] == "validation"]
    assert losses[-1] < losses[0] / 3


def test_resumed_training_ends_where_the_uninterrupted_one_does(tmp_path: Path, examples) -> None:
    whole = train(tmp_path / "whole", examples, dataclasses.replace(CONFIG, steps=8))
    # One batch holds 2 of 8 utterances: an epoch is 4 steps.
    first = Trainer(tiny_network(), dataclasses.replace(CONFIG, steps=8), tmp_path / "parts", examples[1].decode)
    calls = 0

    def once() -> list[Source]:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise KeyboardInterrupt
        return [Source(examples[0])]

    with pytest.raises(KeyboardInterrupt):
        first.run(once, examples[0][:2])
    second = train(tmp_path / "parts", examples, dataclasses.replace(CONFIG, steps=8))
    for name, value in whole.trained.items():
        assert torch.equal(value, second.trained[name]), name


def test_the_frozen_backbone_does_not_move(tmp_path: Path, examples) -> None:
    trainer = train(tmp_path, examples)
    before = tiny_network().state_dict()
    after = trainer.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)


def test_tuned_layers_move_and_the_others_do_not(tmp_path: Path, examples) -> None:
    trainer = train(tmp_path, examples, dataclasses.replace(CONFIG, tuned_layers=2, backbone_learning_rate=1e-3))
    before, after = tiny_network().state_dict(), trainer.network.state_dict()
    moved = {name for name in before if name.startswith("backbone") and not torch.equal(before[name], after[name])}
    assert any("layers.3." in name for name in moved)
    assert not any("layers.1." in name or "conv" in name for name in moved)


def test_weights_decide_how_often_a_source_is_drawn(examples) -> None:
    generator = np.random.default_rng(0)
    assert len(draw_epoch([Source(examples[0], 2.0)], generator)) == 16
    assert 0 < len(draw_epoch([Source(examples[0] * 1, 0.5)], generator)) < 8


def test_batches_keep_to_their_budget(examples) -> None:
    batches = pack(examples[0], 120, np.random.default_rng(0))
    assert sum(len(batch) for batch in batches) == 8
    assert max(len(batch) for batch in batches) == 2  # 50 frames each


def test_time_masks_are_zero_frames(examples) -> None:
    batch = collate(examples[0][:1], feature_cache.FeatureReader(128))
    mask_time(batch, np.random.default_rng(1), per_second=2.0, longest=5)
    silent = (batch.features[0] == 0).all(-1).sum().item()
    assert 0 < silent < 50


def test_collapse_and_schedule() -> None:
    assert collapse(torch.tensor([0, 3, 3, 0, 3, 1, 1])) == [3, 3, 1]
    config = TrainingConfig(steps=100, warmup_steps=10)
    assert learning_rate_share(4, config) == 0.5
    assert learning_rate_share(100, config) == pytest.approx(0.01)


def test_the_job_trains_a_model_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio_parquet(tmp_path / "train.parquet")
    init = tiny_model(tmp_path / "init")
    command = [
        "--backbone", str(tmp_path), "--init", str(init), "--tokeniser", str(init / "tokenizer.model"),
        "--train", f"{tmp_path}/tr*.parquet=1", "--validation-speakers", "s1", "--cache", str(tmp_path / "cache"),
        "--report", str(tmp_path / "train.parquet"), "--output", str(tmp_path / "out"), "--device", "cpu",
        "--steps", "3", "--batch-seconds", "8",
    ]  # fmt: skip
    assert train_base.main(command) == 0
    network, config = checkpoint.load(tmp_path / "out")
    assert config["backbone"]["width"] == BACKBONE.width
    assert '"kind": "report"' in capsys.readouterr().out
    assert load_file(tmp_path / "out" / "model.safetensors")["head.tokens.weight"].dtype == torch.float16
    assert network.head.config.vocabulary == 48


def test_the_job_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init = tiny_model(tmp_path / "init")
    command = [
        "--backbone", str(tmp_path), "--init", str(init), "--tokeniser", str(init / "tokenizer.model"),
        "--train", str(tmp_path / "none.parquet"), "--cache", str(tmp_path), "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert train_base.main(command) == 2
    assert "none.parquet: no such file" in capsys.readouterr().err


def test_text_of_the_tiny_tokeniser_is_in_its_alphabet() -> None:
    assert set("".join(TEXT)) <= set("abcdefghijklmnopqrstuvwxyz' ")
