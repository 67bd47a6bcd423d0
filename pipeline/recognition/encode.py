"""Rows of audio to EMISSIONS rows: pack by padded seconds, encode. Table in, table out, a row per row."""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from pipeline.acoustic.interface import SAMPLE_RATE, CtcModel
from pipeline.audio.decode import Pcm
from pipeline.errors import RowError
from pipeline.recognition.emission_rows import emission_columns, with_adapter_input, with_phone_clock
from pipeline.recognition.waveforms import is_read, read_audio, waveforms_of
from pipeline.schemas import EMISSIONS, ORIGIN, WAVEFORM, with_origin
from pipeline.types.emissions import Emissions

if TYPE_CHECKING:  # torch is for the workers: the driver imports this module too
    from pipeline.acoustic.adapter_runner import AdapterRunner
    from pipeline.acoustic.batching import Query, Results

Answer = TypeVar("Answer")

FAILURES = (RuntimeError, ValueError, RowError)
"""What a batch fails with; torch's out of memory is a RuntimeError."""
NEEDED = ("utterance_id", "audio", "audio_sha256", "error", *ORIGIN)
"""AUDIO columns that encoding reads or carries along, where they are there; the list column comes on top."""


def pack(lengths: Sequence[float], budget: float) -> list[list[int]]:
    """Return batches of indices whose padded sum (longest x count) stays within ``budget``; one item may exceed it.

    Longest first: neighbours have like lengths, so little is padded, and what needs most memory runs first.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@dataclasses.dataclass(frozen=True)
class DeviceWork:
    """What the model was given: seconds in which it computed, batches, and their audio in seconds, padding included."""

    seconds: float = 0.0
    batches: int = 0
    padded_seconds: float = 0.0

    def __sub__(self, earlier: "DeviceWork") -> "DeviceWork":
        return DeviceWork(
            self.seconds - earlier.seconds,
            self.batches - earlier.batches,
            self.padded_seconds - earlier.padded_seconds,
        )


class _Done(threading.local):
    """Of each thread: its work so far, and the padded seconds that fit the device, once it was found too small."""

    seconds = 0.0
    batches = 0
    padded_seconds = 0.0
    fits = math.inf


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The first pass over tables of audio rows.

    model:         any CTC model
    batch_seconds: padded audio seconds per forward pass
    list_column:   column with the utterance's own entity list, carried along, or None
    adapter:       rows get ADAPTER_INPUT, what it needs to run later without the model
    """

    model: CtcModel
    batch_seconds: float
    list_column: str | None = None
    adapter: "AdapterRunner | None" = None
    _done: _Done = dataclasses.field(default_factory=_Done, init=False)

    @property
    def work(self) -> DeviceWork:
        """What the calling thread has had the model do so far: what keeps a GPU busy, and no reading of audio."""
        return DeviceWork(self._done.seconds, self._done.batches, self._done.padded_seconds)

    def encode(self, audio: pa.Table, take: Callable[[list[int], pa.Table], None] | None = None) -> pa.Table:
        """Return the EMISSIONS rows of AUDIO rows, in their order; what cannot be encoded has ``error`` set.

        The audio is decoded here, unless that was done before (pipeline.recognition.waveforms).

        take: is given the numbers of rows and these rows as soon as they are encoded, while others still are; each row
              once
        """
        rows = audio if is_read(audio) else read_audio(audio)
        names, errors, waveforms = rows["utterance_id"].to_pylist(), rows["error"].to_pylist(), waveforms_of(rows)
        for index, waveform in enumerate(waveforms):
            if waveform is not None and len(waveform) > self.model.max_seconds * SAMPLE_RATE:
                waveforms[index], errors[index] = None, (
                    f"{names[index]}: audio is {len(waveform) / SAMPLE_RATE:.1f} s long, the model takes at most "
                    f"{self.model.max_seconds:g} s; cut it with `python -m jobs.ingest`."
                )  # fmt: skip
        emissions: list[Emissions | None] = [None] * len(waveforms)
        plain = rows.drop_columns(WAVEFORM.names)

        def hand_on(chosen: list[int]) -> None:
            if take is not None and chosen:
                heard, failed = [emissions[row] for row in chosen], [errors[row] for row in chosen]
                take(chosen, self._table(plain.take(chosen), [waveforms[row] for row in chosen], heard, failed))

        hand_on([row for row, waveform in enumerate(waveforms) if waveform is None])
        for chosen in self._encode_all(waveforms, emissions, errors, names):
            hand_on(chosen)
        return self._table(rows, waveforms, emissions, errors)

    def _encode_all(
        self,
        waveforms: Sequence[Pcm | None],
        emissions: list[Emissions | None],
        errors: list[str | None],
        names: Sequence[str],
    ) -> Iterator[list[int]]:
        """Encode each waveform, and yield the numbers of those that are done."""
        found = [(index, waveform) for index, waveform in enumerate(waveforms) if waveform is not None]
        most = min(self.batch_seconds, self._done.fits)
        batches = pack([len(waveform) / SAMPLE_RATE for _, waveform in found], most)
        groups = [[found[i] for i in batch] for batch in batches]
        for group, results in zip(groups, self._heard([[w for _, w in group] for group in groups]), strict=True):
            for (index, _), result in zip(group, results, strict=True):
                if isinstance(result, Emissions):
                    emissions[index] = result
                else:
                    errors[index] = f"{names[index]}: the acoustic model failed ({type(result).__name__}: {result})."
            yield [index for index, _ in group]

    def _heard(self, batches: Sequence[Sequence[Pcm]]) -> Iterator[list[Emissions | Exception]]:
        """Yield what each batch gives; the next one is prepared while the device computes the one before."""
        before: tuple[Results | Exception, Sequence[Pcm]] | None = None
        for batch in batches:
            begun = self._begun(batch)
            if before is not None:
                yield self._taken(*before)
            before = begun, batch
        if before is not None:
            yield self._taken(*before)

    def _begun(self, waveforms: Sequence[Pcm]) -> "Results | Exception":
        """Begin with a batch; return why it could not begin, as where it does not fit the memory."""
        try:
            return self._begin(waveforms)
        except FAILURES as error:
            return error.with_traceback(None)  # which holds what lies on the device

    def _taken(self, begun: "Results | Exception", waveforms: Sequence[Pcm]) -> list[Emissions | Exception]:
        """Wait for a batch; one that failed is done again, halved until only the culprit keeps its exception."""
        if not isinstance(begun, Exception):
            try:
                return list(self._timed(begun))
            except FAILURES as error:
                begun = error.with_traceback(None)
        if len(waveforms) == 1:
            return [begun]
        if type(begun).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
            self._done.fits = min(self._done.fits, self._padded(waveforms) / 2)
        middle = len(waveforms) // 2
        return encode_or_split(self._hear, waveforms[:middle]) + encode_or_split(self._hear, waveforms[middle:])

    def _hear(self, waveforms: Sequence[Pcm]) -> list[Emissions]:
        """Encode one batch and wait for it."""
        begun = self._begin(waveforms)
        return self._timed(begun)

    def _begin(self, waveforms: Sequence[Pcm]) -> "Results":
        begun = self._timed(lambda: self.model.begin(waveforms, query=self._query))
        self._done.batches += 1 if self.model.together else len(waveforms)
        self._done.padded_seconds += self._padded(waveforms)
        return begun

    def _padded(self, waveforms: Sequence[Pcm]) -> float:
        lengths = [len(waveform) / SAMPLE_RATE for waveform in waveforms]
        return max(lengths) * len(lengths) if self.model.together else sum(lengths)

    @property
    def _query(self) -> "Query | None":
        """What is kept of the states with an adapter."""
        return None if self.adapter is None else self.adapter.query_of

    def _timed(self, work: Callable[[], Answer]) -> Answer:
        """Do what keeps the device busy, or waits for it."""
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._done.seconds += time.perf_counter() - began

    def _table(
        self,
        rows: pa.Table,
        waveforms: Sequence[Pcm | None],
        emissions: Sequence[Emissions | None],
        errors: Sequence[str | None],
    ) -> pa.Table:
        own = rows[self.list_column] if self.list_column else pa.nulls(len(rows), pa.list_(pa.string()))
        origin = with_origin(rows.select([name for name in ORIGIN if name in rows.column_names]))
        columns = {
            "utterance_id": rows["utterance_id"].cast(pa.string()),
            "duration_seconds": [None if w is None else len(w) / SAMPLE_RATE for w in waveforms],
            "audio_sha256": rows["audio_sha256"],
            "model_id": [self.model.model_id] * len(rows),
            "frame_seconds": [self.model.frame_seconds] * len(rows),
            **emission_columns(emissions),
            "entities": own.cast(pa.list_(pa.string())),
            **{name: origin[name].cast(EMISSIONS.field(name).type) for name in ORIGIN},
            "error": list(errors),
        }
        table = pa.table(columns, schema=EMISSIONS)
        if self.model.phone_frame_seconds is not None:
            table = with_phone_clock(table, emissions, self.model.phone_frame_seconds)
        return table if self.adapter is None else with_adapter_input(table, emissions)


def encode_or_split(
    encode: Callable[[Sequence[Pcm]], list[Emissions]], waveforms: Sequence[Pcm]
) -> list[Emissions | Exception]:
    """Return the emissions of each waveform; a batch that fails is halved until only the culprit keeps its exception.

    That covers a batch that does not fit the memory as well as a single waveform that the model cannot take.
    """
    try:
        return list(encode(waveforms))
    except FAILURES as error:
        if len(waveforms) == 1:
            return [error.with_traceback(None)]
    middle = len(waveforms) // 2
    return encode_or_split(encode, waveforms[:middle]) + encode_or_split(encode, waveforms[middle:])
