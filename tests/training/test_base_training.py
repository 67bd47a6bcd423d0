"""Training from audio with a tiny network: it learns, a killed run ends as a whole one does, it keeps what it must."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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
from pipeline.errors import ConfigError, InputError, ModelError
from pipeline.training.augmentation import Augmentation
from pipeline.training.base_data import Example, Labels, Source, read_examples, read_sources, split
from pipeline.training.base_loop import Trainer, TrainingConfig, collapse, rate_groups, rate_share
from pipeline.training.batches import draw_epoch, draw_voices, pack, targets, waveforms, whole_seconds
from pipeline.training.kept_out import KEPT_OUT
from tests.support.tiny_model import BACKBONE, TEXT, tiny_model, tiny_network, tiny_tokeniser

RATE = 16_000
CONFIG = TrainingConfig(hours=0.02, batch_seconds=8.0, head_rate=3e-3, encoder_rate=1e-3, validations=2)
PLAIN = Augmentation(
    speed_share=0.0, room_share=0.0, babble_share=0.0, noise_share=0.0, telephone_share=0.0, clip_share=0.0,
    frequency_masks=0, time_masks_per_second=0.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over several threads may come out in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def audio_parquet(path: Path, rows: int = 8) -> Path:
    """Rows of 1.6 to 2 s whose text is told by the pitch, so that there is something to learn."""
    generator = np.random.default_rng(0)
    table = []
    for row in range(rows):
        at = np.arange(32_000 - 800 * row)
        tone = np.sin(at * (0.05 + 0.1 * (row % 2))) * 0.3 + generator.normal(0, 0.01, len(at))
        sink = io.BytesIO()
        soundfile.write(sink, tone.astype(np.float32), RATE, format="FLAC")
        table.append({
            "utterance_id": f"u{row}", "speaker": f"s{row % 4}",
            "text": ("the", "dog")[row % 2], "duration_seconds": 2.0,
            "audio": {"bytes": sink.getvalue(), "path": f"u{row}.flac"},
        })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return Labels(tiny_tokeniser(tmp_path_factory.mktemp("tokeniser")))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory, labels: Labels) -> list[Example]:
    return read_examples(audio_parquet(tmp_path_factory.mktemp("training") / "train.parquet"), labels)


def trainer_of(
    folder: Path, labels: Labels, config: TrainingConfig = CONFIG, drawn: Augmentation | None = None
) -> Trainer:
    augmentation = drawn or Augmentation()
    return Trainer(tiny_network(), config, augmentation, folder, labels.tokens.decode, torch.device("cpu"))


def curve_of(folder: Path, kind: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def say(seconds: float, speaker: str = "s") -> Example:
    return Example(f"{seconds}", speaker, "the", np.ones(int(seconds * RATE), np.int16), (1,), (1, 2))


def test_examples_have_audio_and_labels(examples: list[Example]) -> None:
    assert [len(example.samples) for example in examples] == [32_000 - 800 * row for row in range(8)]
    assert examples[0].samples.dtype == np.int16
    assert 9000 < int(np.abs(examples[0].samples).max()) < 12_000
    assert [example.text for example in examples[:2]] == ["the", "dog"]
    assert len(examples[1].phones) == 3  # D AO G


def test_rows_that_cannot_be_trained_on_are_left_out(tmp_path: Path, labels: Labels) -> None:
    parquet = audio_parquet(tmp_path / "train.parquet", rows=5)
    rows = pq.read_table(parquet).to_pylist()
    rows[0]["text"], rows[1]["text"], rows[2]["audio"]["bytes"] = "", "in 1066", b"no audio"
    rows[3]["text"] = "the lazy dog " * 20  # more subwords than two seconds have frames
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    assert [example.utterance_id for example in read_examples(parquet, labels)] == ["u4"]


def test_patterns_have_weights(tmp_path: Path, labels: Labels) -> None:
    audio_parquet(tmp_path / "train.parquet", rows=2)
    (source,) = read_sources([f"{tmp_path}/tr*.parquet=0.3"], labels, workers=2)
    assert (len(source.examples), source.weight) == (2, 0.3)
    with pytest.raises(InputError, match="the weight must be a number, got 'often'"):
        read_sources([f"{tmp_path}/train.parquet=often"], labels, workers=1)


def test_validation_speakers_and_those_kept_out_are_not_trained_on() -> None:
    assert len(KEPT_OUT) == 26
    heard = [Source((say(1, "a"), say(2, "b"), say(3, "flite:awb"), say(4, "0026")), 0.5)]
    training, validation = split(heard, ["b"])
    assert [example.speaker for example in training[0].examples] == ["a"]
    assert training[0].weight == 0.5
    assert [example.speaker for example in validation] == ["b"]
    with pytest.raises(InputError, match="0 utterances to validate on and 2 to train on"):
        split(heard, ["nobody"])


def test_weights_decide_how_often_a_source_is_drawn(examples: list[Example]) -> None:
    generator = np.random.default_rng(0)
    assert len(draw_epoch([Source(tuple(examples), 2.0)], generator)) == 16
    assert 0 < len(draw_epoch([Source(tuple(examples), 0.5)], generator)) < 8


def test_batches_of_one_length_have_one_size() -> None:
    drawn = [say(seconds) for seconds in [1.5] * 5 + [2.0, 3.1, 3.9, 4.0, 4.0]]
    assert [whole_seconds(one, 2) for one in drawn] == [2] * 6 + [4] * 4
    batches = pack(drawn, 8.0, 2, np.random.default_rng(0))
    shapes = sorted((max(whole_seconds(one, 2) for one in batch), len(batch)) for batch in batches)
    assert shapes == [(2, 4), (4, 2), (4, 2), (4, 2)]  # two short ones joined the next length
    assert sum(len(batch) for batch in batches) == 10


def test_a_batch_is_padded_to_whole_buckets() -> None:
    samples, lengths = waveforms([say(1.5), say(2.5)], bucket=2)
    assert samples.shape == (2, 4 * RATE)
    assert lengths.tolist() == [24_000, 40_000]
    assert samples[0, 24_000:].abs().max() == 0
    said = targets([say(1.5), say(2.5)])
    assert (said.tokens.tolist(), said.phones.tolist(), said.phone_lengths.tolist()) == ([1, 1], [1, 2, 1, 2], [2, 2])
    assert draw_voices([say(1.0)], 3, 40_000, np.random.default_rng(0)).shape == (3, 40_000)


def test_it_learns(tmp_path: Path, labels: Labels, examples: list[Example]) -> None:
    config = dataclasses.replace(CONFIG, hours=0.45, head_rate=1e-2, batch_seconds=16.0, dropout=0.0, average_decay=0.8)
    trainer_of(tmp_path, labels, config, PLAIN).run([Source(tuple(examples))], examples[:2])
    losses = [point["loss"] for point in curve_of(tmp_path, "train")]
    assert losses[-1] < 0.7 * losses[0]
    validated = curve_of(tmp_path, "validation")
    assert [point["done"] for point in (validated[0], validated[-1])] == [0.0, 1.0]
    assert validated[-1]["wer"] < validated[0]["wer"]


def test_the_end_of_a_leg_has_rate_zero_and_the_averaged_weights(
    tmp_path: Path, labels: Labels, examples: list[Example]
) -> None:
    trainer = trainer_of(tmp_path, labels)
    trainer.run([Source(tuple(examples))], examples[:2])
    assert trainer.done == 1.0
    for name, value in trainer.trained.items():
        assert torch.equal(value, trainer.average[name]), name
    assert rate_share(0.01, 0.02) == 0.5
    assert rate_share(0.02, 0.02) == 1.0
    assert rate_share(0.51, 0.02) == pytest.approx(0.5)
    assert rate_share(1.0, 0.02) == pytest.approx(0.0)


def test_a_clock_may_end_a_leg(tmp_path: Path, labels: Labels, examples: list[Example]) -> None:
    trainer = trainer_of(tmp_path, labels, dataclasses.replace(CONFIG, hours=1000.0, minutes=0.02))
    trainer.run([Source(tuple(examples))], examples[:2])
    assert trainer.done == 1.0
    assert 1.2 <= trainer.spent < 30


def command_of(folder: Path, name: str) -> list[str]:
    return [
        "--init", str(folder / "init"), "--train", str(folder / "train.parquet"), "--validation-speakers", "s1",
        "--state", str(folder / name / "state"), "--output", str(folder / name / "model"), "--device", "cpu",
        "--hours", "0.04", "--batch-seconds", "8", "--checkpoint-seconds", "0", "--encoder-rate", "1e-3",
    ]  # fmt: skip


def test_a_killed_run_ends_with_the_very_weights_of_a_whole_one(tmp_path: Path) -> None:
    audio_parquet(tmp_path / "train.parquet")
    tiny_model(tmp_path / "init")
    assert train_base.main(command_of(tmp_path, "whole")) == 0
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jobs.train_base", *command_of(tmp_path, "killed")]
    state = tmp_path / "killed" / "state" / "last.safetensors"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None and not state.exists():
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    steps = int(load_file(state)["progress"][0])
    assert train_base.main(command_of(tmp_path, "killed")) == 0
    whole = load_file(tmp_path / "whole" / "state" / "last.safetensors")
    killed = load_file(state)
    assert 0 < steps < int(whole["progress"][0])
    assert set(whole) == set(killed)
    for name, value in whole.items():
        if name == "progress":  # its last number is the time that was spent
            assert torch.equal(value[:5], killed[name][:5])
        else:
            assert torch.equal(value, killed[name]), name
    models = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert models[0] == models[1]


def test_frozen_layers_stay_and_the_others_move(tmp_path: Path, labels: Labels, examples: list[Example]) -> None:
    trainer = trainer_of(tmp_path, labels, dataclasses.replace(CONFIG, frozen_layers=2))
    trainer.run([Source(tuple(examples))], examples[:2])
    before, after = tiny_network().state_dict(), trainer.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("layers.2." in name for name in moved)
    assert any("layers.3." in name for name in moved)
    assert any(name.startswith("head.") for name in moved)
    assert not any("layers.0." in name or "layers.1." in name or "conv1" in name for name in moved)


def test_every_layer_moves_where_none_is_frozen(tmp_path: Path, labels: Labels, examples: list[Example]) -> None:
    trainer = trainer_of(tmp_path, labels)
    trainer.run([Source(tuple(examples))], examples[:2])
    before, after = tiny_network().state_dict(), trainer.network.state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {"backbone.encoder.embed_positions.weight"}


def test_rates_decay_from_layer_to_layer() -> None:
    config = TrainingConfig(head_rate=8e-4, encoder_rate=4e-4, layer_decay=0.5)
    network = tiny_network()
    rates = {id(parameter): rate for group, rate in rate_groups(network, config) for parameter in group}
    encoder = network.backbone.encoder
    found = [rates[id(layer.fc1.weight)] for layer in encoder.layers]
    assert found == pytest.approx([0.5e-4, 1e-4, 2e-4, 4e-4])
    assert rates[id(encoder.layer_norm.weight)] == 4e-4
    assert rates[id(encoder.conv1.weight)] == pytest.approx(0.25e-4)
    assert rates[id(network.head.tokens.weight)] == 8e-4
    assert len(rate_groups(network, dataclasses.replace(config, frozen_layers=4))) == 1  # the head
    with pytest.raises(ConfigError, match="frozen_layers 9: the encoder has 4 layers"):
        rate_groups(network, dataclasses.replace(config, frozen_layers=9))


def test_a_state_of_other_options_is_refused(tmp_path: Path, labels: Labels, examples: list[Example]) -> None:
    trainer_of(tmp_path, labels, dataclasses.replace(CONFIG, frozen_layers=4)).run(
        [Source(tuple(examples))], examples[:2]
    )
    with pytest.raises(ModelError, match="give another folder"):
        trainer_of(tmp_path, labels).run([Source(tuple(examples))], examples[:2])


def test_collapse_merges_repeats_and_drops_blanks() -> None:
    assert collapse(torch.tensor([0, 3, 3, 0, 3, 1, 1])) == [3, 3, 1]


def test_the_job_trains_a_model_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio_parquet(tmp_path / "train.parquet")
    tiny_model(tmp_path / "init")
    command = [*command_of(tmp_path, "leg"), "--report", str(tmp_path / "train.parquet")]
    command += ["--hours", "0.01", "--curve", str(tmp_path / "curve.jsonl")]
    assert train_base.main(command) == 0
    network, config = checkpoint.load(tmp_path / "leg" / "model")
    assert config["backbone"]["width"] == BACKBONE.width
    assert '"kind": "report"' in capsys.readouterr().out
    stored = load_file(tmp_path / "leg" / "model" / "model.safetensors")
    assert stored["head.tokens.weight"].dtype == torch.float16
    assert network.head.config.vocabulary == 48
    curve = (tmp_path / "curve.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in curve]
    assert kinds[0] == "validation"
    assert kinds[-1] == "report"
    assert len(set(curve)) == len(curve)


def test_the_job_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model(tmp_path / "init")
    assert train_base.main(command_of(tmp_path, "leg")) == 2
    assert "train.parquet: no such file" in capsys.readouterr().err


def test_text_of_the_tiny_tokeniser_is_in_its_alphabet() -> None:
    assert set("".join(TEXT)) <= set("abcdefghijklmnopqrstuvwxyz' ")
