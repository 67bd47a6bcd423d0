"""Make and train a recogniser of a class that --model loads, which writes letters.

    python -m benchmarks.second_models.train start --audio FILE... --work W --output START
    python -m benchmarks.second_models.train front --from START --audio FILE... --work W --output FRONT
    python -m benchmarks.second_models.train teach --from FRONT --audio FILE... --work W --output MODEL

``start`` makes the network from the shipped model's encoder (conformer.py), ``front`` teaches it to hear samples,
``teach`` to write letters: by CTC, and by the last states of the shipped model's encoder. A training stops after
--minutes or --steps, and goes on where it was when it is started again with the same --work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.second_models import conformer, files
from benchmarks.second_models.corpus import Letters, read
from pipeline.acoustic import checkpoint
from pipeline.acoustic.backbone import WhisperBackbone
from pipeline.acoustic.features import FFT_SAMPLES, HOP_SAMPLES, log_mel_batch
from pipeline.scoring.words import minimal_errors
from pipeline.training.base_data import Example
from pipeline.training.batches import pack, waveforms
from pipeline.training.state import TrainingState, cosine_share

SHIPPED = Path("models/base_en_ctc")
LOUDNESS = 0.05  # of normalised audio, for the teacher: about that of its own training
_BUCKET = 2  # seconds
_LEAST_RATE = 0.05  # of the peak learning rate, at the end
_AVERAGE = 0.995
_SAVE_EVERY = 300.0  # seconds
_KEPT = ("linear_pos", "pos_bias_v")
"""What distances add stays as it was fitted: against its large bias one step of Adam moves scores by whole nats."""
_SHORTEST = 15.0  # seconds of what the distances are measured on: most utterances are as long


class Training(TrainingState):
    """Weights in training, stopped by steps."""

    def __init__(self, folder: Path, network: Any, names: Sequence[str], rate: float, head_rate: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        trained = {
            name: value
            for name, value in network.named_parameters()
            if name.startswith(tuple(names)) and not any(kept in name for kept in _KEPT)
        }
        for name, value in network.named_parameters():
            value.requires_grad_(name in trained)
        heads = [value for name, value in trained.items() if name.startswith("lm_head.")]
        rest = [value for name, value in trained.items() if not name.startswith("lm_head.")]
        groups = [{"params": heads, "peak": head_rate}, {"params": rest, "peak": rate}]
        groups = [{**group, "lr": 0.0} for group in groups if group["params"]]
        super().__init__(folder, trained, torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True))
        self.seconds = 0.0
        if (progress := self._restore()) is not None:
            self.step, self.seconds = int(progress[0]), progress[1]

    def descend(self, loss: torch.Tensor, rate: float) -> None:
        """Take one step at ``rate`` of the peak rates."""
        self._descend(loss, _AVERAGE, rate)

    def keep(self) -> None:
        """Write what a resumed training needs."""
        self._save([self.step, self.seconds])

    def finish(self) -> None:
        """Put the averaged weights into the network."""
        self._put(self.average)


def batches(examples: Sequence[Example], seconds: float, first: int, seed: int = 0) -> Iterator[list[Example]]:
    """Yield batches for ever, from number ``first`` on, so that a resumed training does not hear the same again."""
    epoch, number = 0, 0
    while True:
        for batch in pack(examples, seconds, _BUCKET, np.random.default_rng([seed, epoch])):
            if number >= first:
                yield batch
            number += 1
        epoch += 1


def normalised(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples [B, N] of mean 0 and variance 1 in each utterance, and lengths [B]."""
    samples, lengths = waveforms(batch, _BUCKET)
    inside = torch.arange(samples.shape[1])[None] < lengths[:, None]
    samples = (samples - (samples * inside).sum(1, keepdim=True) / lengths[:, None]) * inside
    return samples / ((samples.square().sum(1, keepdim=True) / lengths[:, None]) + 1e-7).sqrt(), lengths


def teacher_mel(samples: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what Whisper hears of the audio, begun so much later that its frames lie as those of the Conformer do."""
    mel, counts = log_mel_batch(LOUDNESS * samples[:, conformer.SHIFT :], lengths - conformer.SHIFT)
    return mel, counts // 2


def embed(teacher: WhisperBackbone, mel: torch.Tensor) -> torch.Tensor:
    """Return [B, T, 512] of Whisper's convolutions without positions."""
    hidden = nn.functional.gelu(teacher.encoder.conv1(mel))
    out: torch.Tensor = nn.functional.gelu(teacher.encoder.conv2(hidden)).transpose(1, 2)
    return out


def load_teacher() -> WhisperBackbone:
    """Return the encoder of the shipped model."""
    return checkpoint.load(SHIPPED)[0].backbone.requires_grad_(False)


def start(arguments: argparse.Namespace, letters: Letters) -> None:
    """Make the network and measure on speech what it needs."""
    torch.manual_seed(0)
    teacher, network = load_teacher(), conformer.make(len(letters.outputs))
    examples = read(arguments.audio, letters, arguments.work / "samples")
    long = [one for one in examples if one.seconds >= _SHORTEST]
    chosen = long[:: max(1, len(long) // 16)][:16]
    rows = [one.samples[: int(_SHORTEST * 16_000)] for one in chosen]
    samples = torch.from_numpy(np.stack(rows)).float()
    samples = (samples - samples.mean(1, keepdim=True)) / samples.std(1, keepdim=True)
    power = torch.stft(
        samples, FFT_SAMPLES, HOP_SAMPLES, window=torch.hann_window(FFT_SAMPLES), return_complex=True
    ).abs()
    conformer.begin_front(network, power.square().mean((0, 2)).sqrt()[1:])
    conformer.begin_top_of_front(network, teacher.encoder)
    conformer.begin_blocks(network, teacher.encoder)
    with torch.no_grad():
        mel, counts = teacher_mel(samples, torch.full((len(samples),), samples.shape[1]))
        embedded = embed(teacher, mel)[:, : int(counts[0])]
    near = conformer.fit_to(network, teacher.encoder, embedded)
    print("cosine of the states after each block with Whisper's:", [round(one, 3) for one in near])
    if arguments.front is not None:
        taught = load_file(arguments.front / "model.safetensors")
        front = {name: value for name, value in taught.items() if name.startswith("wav2vec2_conformer.feature_")}
        network.load_state_dict(front, strict=False)
    files.write(network, letters, arguments.output, "en", "A start, not yet taught.")


def front_loss(
    network: Any, teacher: WhisperBackbone, batch: Sequence[Example]
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return how far the spectrogram and Whisper's convolutions are missed, as shares of their variance."""
    samples, lengths = normalised(batch)
    with torch.no_grad():
        mel, counts = teacher_mel(samples, lengths)
        wanted = embed(teacher, mel)[:, 1:] + conformer.mean_position(teacher.encoder)
    bands = conformer.front(network, samples, 3)[:, :, : conformer.BANDS]
    said = conformer.front(network, samples)
    frames = torch.minimum(counts - 2, conformer.frames_of(lengths))
    heard = _missed(bands, mel.transpose(1, 2) + conformer.LIFT, 2 * frames)
    written = _missed(said, wanted, frames)
    return heard + written, {"mel": float(heard.detach()), "front": float(written.detach())}


def _missed(said: torch.Tensor, wanted: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Return the mean square error of [B, T, C] in the first ``frames`` of each row, as a share of the variance."""
    size = min(said.shape[1], wanted.shape[1])
    inside = torch.arange(size)[None] < frames[:, None]
    said, wanted = said[:, :size][inside].float(), wanted[:, :size][inside].float()
    return (said - wanted).square().mean() / (wanted - wanted.mean(0)).square().mean()


class Below:
    """States behind the first blocks, which are not trained: computed when first needed, and kept in a file."""

    def __init__(self, network: Any, examples: Sequence[Example], blocks: int, folder: Path) -> None:
        self._network, self.blocks = network, blocks
        counts = [int(conformer.frames_of(torch.tensor(len(one.samples)))) for one in examples]
        starts = np.concatenate([[0], np.cumsum(counts)])
        self._places = {one.utterance_id: slice(starts[at], starts[at + 1]) for at, one in enumerate(examples)}
        folder.mkdir(parents=True, exist_ok=True)
        self._states = _kept(folder / "states.npy", (int(starts[-1]), conformer.WIDTH), np.float16)
        self._known = _kept(folder / "known.npy", (int(starts[-1]),), np.bool_)

    def __call__(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states [B, T, 512] and how many frames each utterance has."""
        if new := [one for one in batch if not self._known[self._places[one.utterance_id]][0]]:
            states, frames = below(self._network, new, self.blocks)
            for one, state, count in zip(new, states, frames.tolist(), strict=True):
                self._states[self._places[one.utterance_id]] = state[:count].float().numpy()
                self._known[self._places[one.utterance_id]] = True
        rows = [torch.from_numpy(np.array(self._states[self._places[one.utterance_id]])).float() for one in batch]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def _kept(path: Path, shape: tuple[int, ...], kind: Any) -> Any:
    """Return an array in a file, of zeros if it is new."""
    mode = "r+" if path.is_file() else "w+"
    return np.lib.format.open_memmap(path, mode, kind, shape)


def below(network: Any, batch: Sequence[Example], blocks: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states [B, T, 512] behind the first blocks, and frames; nothing is trained by it."""
    samples, lengths = normalised(batch)
    frames = conformer.frames_of(lengths)
    with torch.no_grad():
        states = conformer.front(network, samples)
        if blocks:
            states = conformer.encode(network, states, frames, 0, blocks)[-2]
    return states, frames


class Teach:
    """The loss of ``teach``: CTC, and the distance to the last states of the teacher while that is asked for."""

    def __init__(
        self, network: Any, teacher: WhisperBackbone | None, head_steps: int, states: Below | None = None
    ) -> None:
        self._network, self._teacher, self._head_steps, self._below = network, teacher, head_steps, states

    def __call__(self, batch: Sequence[Example], step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss; in the first ``head_steps`` the letters are learnt from the teacher's states."""
        if self._below is not None:
            states, frames = self._below(batch)
            last = conformer.encode(self._network, states, frames, self._below.blocks)[-1]
        else:
            samples, lengths = normalised(batch)
            frames = conformer.frames_of(lengths)
            last = conformer.encode(self._network, conformer.front(self._network, samples), frames)[-1]
        loss, log = torch.zeros(()), {}
        heard = last
        if self._teacher is not None:
            with torch.no_grad():
                mel, counts = teacher_mel(*normalised(batch))
                wanted = self._teacher(mel, counts)[:, 1:, -conformer.WIDTH :]
            loss = _missed(last, wanted, torch.minimum(counts - 2, frames))
            log["missed"] = float(loss.detach())
            if step < self._head_steps:
                heard, frames = wanted, torch.minimum(counts - 1, frames)
        ctc = ctc_loss(self._network.lm_head(heard), frames, batch)
        return loss + ctc, {**log, "ctc": float(ctc.detach())}


def ctc_loss(logits: torch.Tensor, frames: torch.Tensor, batch: Sequence[Example]) -> torch.Tensor:
    """Return the mean CTC loss per letter of [B, T, V]."""
    labels = torch.tensor([label for one in batch for label in one.tokens])
    counts = torch.tensor([len(one.tokens) for one in batch])
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    loss = nn.functional.ctc_loss(log_probs, labels, frames, counts, reduction="sum", zero_infinity=True)
    return loss / counts.sum()


def greedy_errors(network: Any, examples: Sequence[Example], letters: Letters) -> float:
    """Return the word error rate of the best letters."""
    said = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for one in examples:
            samples, lengths = normalised([one])
            frames = conformer.frames_of(lengths)
            last = conformer.encode(network, conformer.front(network, samples), frames)[-1]
            best = network.lm_head(last)[0, : int(frames[0])].argmax(-1).tolist()
            said.append(letters.decode(best))
    counts = minimal_errors([one.text for one in examples], said)
    return sum(one.errors for one in counts) / max(1, sum(one.words for one in counts))


def run(arguments: argparse.Namespace, letters: Letters) -> None:
    """Train the front, or everything above its first layers."""
    torch.manual_seed(1)
    network = files.read(arguments.start, letters)
    examples = read(arguments.audio, letters, arguments.work / "samples")
    away = set(arguments.validation_speakers)
    validation = [one for one in examples if one.speaker in away][:: arguments.validate_each]
    examples = [one for one in examples if one.speaker not in away]
    print(
        f"{sum(one.seconds for one in examples) / 3600:.2f} h to train on, {len(validation)} to validate on", flush=True
    )
    training = Training(
        arguments.work / arguments.name, network, arguments.train, arguments.learning_rate, arguments.head_learning_rate
    )
    teacher = load_teacher() if arguments.stage == "front" or arguments.teacher else None
    states = None
    if arguments.below:
        states = Below(network, examples, arguments.below, arguments.work / f"{arguments.name}_below")
    teach = Teach(network, teacher, arguments.head_steps, states)
    begun = saved = time.monotonic()
    before = training.seconds
    sums: dict[str, float] = {}
    for batch in batches(examples, arguments.batch_seconds, training.step, arguments.seed):
        if training.step >= arguments.steps or (time.monotonic() - begun) / 60 > arguments.minutes:
            break
        with torch.autocast("cpu", torch.bfloat16):
            loss, log = (
                front_loss(network, teacher, batch) if arguments.stage == "front" else teach(batch, training.step)
            )
        training.descend(loss, cosine_share(training.step, arguments.warmup, arguments.steps, _LEAST_RATE))
        training.seconds += sum(one.seconds for one in batch)
        sums = {key: sums.get(key, 0.0) + value for key, value in log.items()}
        if training.step % arguments.log_every == 0:
            pace = (training.seconds - before) / (time.monotonic() - begun)
            training.log(
                hours=training.seconds / 3600, pace=pace, **{k: v / arguments.log_every for k, v in sums.items()}
            )
            sums = {}
        if arguments.stage == "teach" and training.step % arguments.validate_every == 0:
            with training._averaged():
                training.log(wer=greedy_errors(network, validation, letters))
        if time.monotonic() - saved > _SAVE_EVERY:
            training.keep()
            saved = time.monotonic()
    training.keep()
    training.finish()
    if arguments.stage == "teach":
        training.log(wer=greedy_errors(network, validation, letters), hours=training.seconds / 3600)
    files.write(network, letters, arguments.output, arguments.language, arguments.made)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("start", "front", "teach"))
    parser.add_argument("--from", dest="start", type=Path, help="the directory of the stage before")
    parser.add_argument("--front", type=Path, help="start: a directory whose front is taught already")
    parser.add_argument("--audio", nargs="+", required=True, metavar="FILE[=SHARE]")
    parser.add_argument("--work", type=Path, required=True, help="decoded audio, and where a training stands")
    parser.add_argument("--name", help="folder in --work of this training; the stage")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--letters", default="abcdefghijklmnopqrstuvwxyz")
    parser.add_argument("--language", default="en")
    parser.add_argument("--made", default="", help="a line for the card")
    parser.add_argument("--train", nargs="+", default=[""], help="beginnings of the names of the weights to train")
    parser.add_argument("--below", type=int, default=0, help="so many blocks stay as they are, and are computed once")
    parser.add_argument("--teacher", action="store_true", help="learn the last states of the shipped model's encoder")
    parser.add_argument("--head-steps", type=int, default=0, help="learn letters from the teacher's states so long")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="another one for a training that follows another")
    parser.add_argument("--batch-seconds", type=float, default=100.0)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--head-learning-rate", type=float, default=2e-3)
    parser.add_argument("--validation-speakers", nargs="*", default=["118", "3947"])
    parser.add_argument("--validate-each", type=int, default=6, help="of how many utterances of theirs one is used")
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--log-every", type=int, default=10)
    arguments = parser.parse_args()
    arguments.name = arguments.name or arguments.stage
    letters = Letters(arguments.letters)
    if arguments.stage == "start":
        start(arguments, letters)
    else:
        run(arguments, letters)


if __name__ == "__main__":
    main()
