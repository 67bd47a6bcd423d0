"""What every model does with a batch, whatever its network: pad and copy in, rank, copy back, slice.

Between the copy to the device and the copy back nothing asks the device for anything, so that a GPU computes one batch
while the next is padded, and the host waits only where it takes results. Per utterance there is nothing but slicing.

On CPUs every waveform is a batch of its own, so that what shares its batch cannot change its bytes. It is still padded:
oneDNN compiles kernels for every shape that it meets, and keeps them, so a few dozen lengths for all audio cost less
than exact ones. How far depends on the length of the waveform alone.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from pipeline.types.emissions import Emissions, SparseLogProbs

Audio = npt.NDArray[np.float32] | npt.NDArray[np.int16]
"""Mono 16 kHz, [N]: full scale is 1.0, or 32,768 in int16."""
Query = Callable[[torch.Tensor], torch.Tensor]
"""Of an adapter: [B, T, Q] of states [B, L + 1, T, D], where those are; see pipeline.acoustic.adapter_runner."""
Results = Callable[[], list[Emissions]]
"""Waits for the device, once, and returns the emissions of each waveform."""
MIRRORED = 200
"""Samples after the end that mirror those before it: half a window of the features, as Whisper pads each utterance."""
_FULL_SCALE = 32_768
_STEPS_PER_OCTAVE = 8
_LEAST_STEP = 8  # frames


@dataclasses.dataclass(frozen=True)
class Padded:
    """Waveforms on their device: samples [B, N] of full scale 1.0, lengths [B] in samples."""

    samples: torch.Tensor
    lengths: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Heard:
    """What a network says of a padded batch, on its device.

    log_probs: [B, T, V] float32
    phones:    [B, T, P] log-probs, or None for a model without a phone head
    states:    [B, L + 1, T, D] the tapped levels and the last one, or None where they are not asked for
    """

    log_probs: torch.Tensor
    phones: torch.Tensor | None
    states: torch.Tensor | None


def padded_length(frames: int) -> int:
    """Return to how many frames so many are padded: eight steps per octave, a twelfth more at the very most.

    >>> [padded_length(frames) for frames in (1, 64, 65, 187, 700)]
    [8, 64, 72, 192, 704]
    """
    step = max(_LEAST_STEP, (1 << (frames - 1).bit_length()) // 2 // _STEPS_PER_OCTAVE)
    return -(-frames // step) * step


def pad(waveforms: Sequence[Audio], least: int, width: int, device: torch.device) -> Padded:
    """Copy waveforms to ``device`` as one batch of ``width`` samples, or as many as the longest needs (``gather``)."""
    pinned = device.type == "cuda"
    buffer, lengths = gather(waveforms, least, width, pinned)
    samples = buffer.to(device, non_blocking=True)
    counts = torch.tensor(lengths, pin_memory=pinned).to(device, non_blocking=True)
    whole = buffer.dtype == torch.int16
    return Padded(samples.float() / _FULL_SCALE if whole else samples, counts)


def gather(waveforms: Sequence[Audio], least: int, width: int, pinned: bool = False) -> tuple[torch.Tensor, list[int]]:
    """Return waveforms in a buffer [B, N], of whole numbers if all are, and their lengths: the host's part of ``pad``.

    least: samples that the shortest is said to have; it is silent from its end on

    After its end each waveform is mirrored for MIRRORED samples.
    """
    width = max(width, *(max(len(waveform), least) for waveform in waveforms)) + MIRRORED
    kind = torch.int16 if all(waveform.dtype == np.int16 for waveform in waveforms) else torch.float32
    buffer = torch.empty(len(waveforms), width, dtype=kind, pin_memory=pinned)
    rows = buffer.numpy()
    lengths = [max(len(waveform), least) for waveform in waveforms]
    for row, waveform, length in zip(rows, waveforms, lengths, strict=True):
        if kind == torch.float32 and waveform.dtype == np.int16:
            np.divide(waveform, np.float32(_FULL_SCALE), out=row[: len(waveform)], dtype=np.float32)
        else:
            row[: len(waveform)] = waveform
        row[len(waveform) :] = 0
        row[length : length + MIRRORED] = row[max(0, length - 1 - MIRRORED) : length - 1][::-1]
    return buffer, lengths


def rank(log_probs: torch.Tensor, k: int, first: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int16 ids and float16 values [..., k] of the best of [..., V] log-probs; equal ones by the lower id.

    Sorted by one whole number each, the log-prob's own bits (it is at most 0) before the id: no two are equal, so what
    is chosen does not depend on how a device sorts. What ``first`` [..., V] says is chosen before all others.
    """
    count = log_probs.shape[-1]
    bits = log_probs.clamp(max=0.0).contiguous().view(torch.int32) & 0x7FFFFFFF
    order = torch.arange(count - 1, -1, -1, device=log_probs.device)
    ranked = order - (bits.long() << 16)  # at least -2**47
    if first is None:
        best = ranked.topk(min(k, count), dim=-1).values
    else:
        best = (ranked + (first.long() << 48)).topk(min(k, count), dim=-1).values
        best = torch.where(best > 1 << 46, best - (1 << 48), best).sort(dim=-1, descending=True).values
    ids = (count - 1) - (best & 0xFFFF)
    return ids.to(torch.int16), log_probs.gather(-1, ids).to(torch.float16)


def start(heard: Heard, frames: Sequence[int], k: int, query: Query | None = None) -> Results:
    """Begin to rank a batch and to copy it back; row ``n`` has ``frames[n]`` frames.

    With ``query`` the emissions have the last state and the query in place of all states.
    """
    ids, values = rank(heard.log_probs, k)
    results = {"ids": ids, "values": values}
    if heard.phones is not None:
        results["phone_log_probs"] = heard.phones.to(torch.float16)
    if heard.states is not None:
        states = heard.states.to(torch.float16)
        results |= {"states": states} if query is None else {"last": states[:, -1], "query": query(states)}
    wait = fetch(results)

    def take() -> list[Emissions]:
        return sliced(wait(), frames)

    return take


def sliced(arrays: dict[str, npt.NDArray[np.generic]], frames: Sequence[int]) -> list[Emissions]:
    """Return the emissions of each row of a batch, as views; ``frames`` says how long each is."""
    return [_row(arrays, number, count) for number, count in enumerate(frames)]


def start_phones(phones: torch.Tensor, frames: Sequence[int]) -> Callable[[], list[npt.NDArray[np.float16]]]:
    """Begin to copy back phone log-probs [B, T, P] alone; return what waits for [T, P] of each row."""
    wait = fetch({"phones": phones.to(torch.float16)})

    def take() -> list[npt.NDArray[np.float16]]:
        rows = wait()["phones"].astype(np.float16, copy=False)
        return [row[:count] for row, count in zip(rows, frames, strict=True)]

    return take


def fetch(results: dict[str, torch.Tensor]) -> Callable[[], dict[str, npt.NDArray[np.generic]]]:
    """Begin to copy tensors to the host, once each; return what waits for that."""
    event = None
    if next(iter(results.values())).is_cuda:
        results = {
            name: torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(value, non_blocking=True)
            for name, value in results.items()
        }
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()

    def wait() -> dict[str, npt.NDArray[np.generic]]:
        if event is not None:
            event.synchronize()
        return {name: value.numpy() for name, value in results.items()}

    return wait


def _row(arrays: dict[str, npt.NDArray[np.generic]], row: int, frames: int) -> Emissions:
    kept = {name: value[row, ..., :frames, :] for name, value in arrays.items()}
    return Emissions(SparseLogProbs(kept.pop("ids"), kept.pop("values")), **kept)  # type: ignore[arg-type]
