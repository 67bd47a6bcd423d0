"""Recordings to rows of the AUDIO schema: decode to prove it can be done, cut what is too long, keep what is not."""

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import numpy as np

from pipeline.audio.decode import MIN_SAMPLES, SAMPLE_RATE, MixLevel, Samples, encode_flac, open_audio, resampled
from pipeline.audio.segmentation import Piece, SpeechDetector, cut_at_silences, slice_spans
from pipeline.errors import RowError, StorageError
from pipeline.ingest.audio_parquet import ParquetRow, read_rows
from pipeline.ingest.recordings import Recording, Utterance, resolve, span_id, without_audio_suffix
from pipeline.storage import Location, open_seekable

_OVERSHOOT_SECONDS = 0.5  # what a segment may end after its audio, as in Kaldi's extract-segments

_AS_SAID_SECONDS = 0.5  # by which a manifest's duration may be off and still be the whole file's

Row = dict[str, Any]
CHANNELS = ("mix", "left", "right", "split")
"""What becomes of a file with several channels: their mean, one of the first two, or an utterance of each."""


class RowMaker:
    """Makes the rows of recordings that lie on the filesystem of ``source``."""

    def __init__(
        self,
        source: Location,
        max_seconds: float,
        id_column: str | None = None,
        audio_root: Location | None = None,
        channels: str = "mix",
    ) -> None:
        """``audio_root`` is where paths in parquet start, by default the folder of the file; ``channels``: CHANNELS."""
        self._source = source
        self._id_column, self._audio_root, self._channels = id_column, audio_root, channels
        self._max_seconds = max_seconds
        self._detector: SpeechDetector | None = None
        self.quiet_mixes = 0  # files whose channels cancel each other
        self.texts_left_out = 0  # transcripts of what was cut: nobody knows which words fall into which piece

    def rows(self, recording: Recording) -> Iterator[Row]:
        """Yield the rows of one recording; what cannot be read becomes a row with ``error``.

        Raises StorageError if the storage itself fails, which says nothing about the recording.
        """
        location = Location(self._source.filesystem, recording.path)
        if recording.row_group is not None:
            for row in read_rows(location, recording, self._id_column):
                yield from self._parquet_row(row, self._audio_root or location.parent)
            return
        planned_errors = [utterance for utterance in recording.utterances if utterance.error]
        made: Iterator[Row] = (error_row(one, str(one.error), recording.label) for one in planned_errors)
        wanted = [utterance for utterance in recording.utterances if not utterance.error]
        if wanted:
            made = chain(made, self._file_rows(location, recording, wanted))
        yield from (row | {"recording_path": recording.recording_path} for row in made)

    def _parquet_row(self, row: ParquetRow, root: Location) -> Iterator[Row]:
        name, path = row.utterance.utterance_id, row.path or row.utterance.utterance_id
        made: Iterator[Row]
        if row.data is not None:
            made = self._whole(io.BytesIO(row.data), row.utterance, name)
        elif row.utterance.error is None and row.path:
            made = self._beside(row.path, row.utterance, root)
        else:
            made = iter(
                [error_row(row.utterance, row.utterance.error or f"{name}: column 'audio' has no bytes.", path)]
            )
        for item in made:
            if item["recording_id"] is None:
                item["audio"]["path"] = path
            yield item | _placed(item, row.place) | {"entities": row.entities}

    def _beside(self, path: str, utterance: Utterance, root: Location) -> Iterator[Row]:
        """Rows of a file that audio parquet names instead of holding it."""
        name = utterance.utterance_id
        try:
            location = resolve(root, path)
            with open_seekable(location) as file:
                yield from self._whole(file, utterance, name)
        except (StorageError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            message = f"{name}: column 'audio' has no bytes, nor has its path {path!r} below {root.uri}: {reason}."
            yield error_row(utterance, message, path)

    def _file_rows(self, location: Location, recording: Recording, wanted: list[Utterance]) -> Iterator[Row]:
        label = recording.label
        left = {utterance.utterance_id: utterance for utterance in wanted}
        try:
            with open_seekable(location) as file:
                for utterance in wanted:
                    if utterance.start is None and utterance.duration is None:
                        yield from self._whole(file, utterance, label)
                        del left[utterance.utterance_id]
                    elif utterance.start is None:
                        yield from self._as_long_as_said(file, utterance, recording)
                        del left[utterance.utterance_id]
                if left:
                    yield from self._spans(file, left, recording)
        except OSError as error:
            message = f"{label}: the audio file cannot be read ({location.uri}: {error.strerror or error})."
            yield from (error_row(utterance, message, label) for utterance in left.values())

    def _whole(self, file: BinaryIO, utterance: Utterance, label: str) -> Iterator[Row]:
        """Rows of a whole file: the bytes as they are, or FLAC of what is cut or of a channel."""
        for part, channel in self._of_channels(file, utterance, label):
            for row in self._whole_of(file, part, label, channel):
                if part.utterance_id != utterance.utterance_id and not row.get("error"):
                    row |= {"recording_id": utterance.utterance_id}
                yield row

    def _of_channels(self, file: BinaryIO, utterance: Utterance, label: str) -> list[tuple[Utterance, int | None]]:
        """Return which utterances come of which channels; None stands for their mean, and for the only one.

        Where a file is split, each channel has a speaker of its own, and nobody knows whose the text is.
        """
        wanted = {"left": 0, "right": 1}.get(self._channels)
        if self._channels == "mix":
            return [(utterance, None)]
        file.seek(0)
        try:
            count = open_audio(file, label).channels
        except RowError:
            return [(utterance, None)]  # who reads it says so
        if count == 1 or wanted is not None:
            return [(utterance, None if count == 1 else wanted)]
        self.texts_left_out += utterance.text is not None
        found: list[tuple[Utterance, int | None]] = []
        for channel in range(count):
            name, speaker = f"{utterance.utterance_id}-ch{channel + 1}", f"{utterance.speaker or ''}ch{channel + 1}"
            found.append((dataclasses.replace(utterance, utterance_id=name, speaker=speaker, text=None), channel))
        return found

    def _whole_of(self, file: BinaryIO, utterance: Utterance, label: str, channel: int | None) -> Iterator[Row]:
        file.seek(0)
        level = MixLevel()
        try:
            blocks = resampled(open_audio(file, label), label, channel, level)
            held, total = [], 0
            for block in blocks:
                held.append(block)
                total += len(block)
                if total > self._max_seconds * SAMPLE_RATE:
                    yield from self._cut(chain(held, blocks), utterance, 0)
                    self.quiet_mixes += level.is_quiet
                    return
        except RowError as error:
            yield error_row(utterance, str(error), label)
            return
        self.quiet_mixes += level.is_quiet
        if channel is not None:
            piece = Piece(0, np.concatenate(held))
            yield piece_row(utterance, piece, without_audio_suffix(label))
            return
        file.seek(0)
        yield audio_row(utterance, file.read(), total, label)

    def _as_long_as_said(self, file: BinaryIO, utterance: Utterance, recording: Recording) -> Iterator[Row]:
        """Rows of a file whose source says its length: whole if that is so, its first seconds if it is longer.

        One that is shorter is an error: its text is of something else than what is there.
        """
        said = utterance.duration or 0.0
        longest = round((said + _AS_SAID_SECONDS) * SAMPLE_RATE)
        file.seek(0)
        total, level = 0, MixLevel()
        try:
            for block in resampled(open_audio(file, recording.label), recording.label, level=level):
                total += len(block)
                if total > longest:
                    break
        except RowError as error:
            yield error_row(utterance, str(error), recording.label)
            return
        there = total / SAMPLE_RATE
        if total > longest:
            part = dataclasses.replace(utterance, start=0.0, end=said)
            yield from self._spans(file, {part.utterance_id: part}, recording)
        elif there < said - _AS_SAID_SECONDS:
            message = f"{recording.label}: its manifest says that it is {said:g} s long; {there:.3f} s are there."
            yield error_row(utterance, message, recording.label)
        elif total <= self._max_seconds * SAMPLE_RATE and self._channels == "mix":
            self.quiet_mixes += level.is_quiet
            file.seek(0)
            yield audio_row(utterance, file.read(), total, recording.label)
        else:
            yield from self._whole(file, utterance, recording.label)

    def _cut(self, blocks: Iterator[Samples], utterance: Utterance, offset: int) -> Iterator[Row]:
        """Rows of consecutive pieces; ``offset`` is where the blocks start in the recording, in samples."""
        self._detector = self._detector or SpeechDetector()
        self.texts_left_out += utterance.text is not None
        for piece in cut_at_silences(blocks, self._detector, self._max_seconds):
            placed = Piece(piece.start + offset, piece.samples)
            name = span_id(utterance.utterance_id, placed.start_seconds, placed.end_seconds)
            part = Utterance(name, None, utterance.speaker, utterance.session, tenant=utterance.tenant)
            yield piece_row(part, placed, utterance.utterance_id)

    def _spans(self, file: BinaryIO, left: dict[str, Utterance], recording: Recording) -> Iterator[Row]:
        """Rows of parts of a file; takes each utterance out of ``left`` when its rows are made."""
        parts = [part for one in left.values() for part in self._of_channels(file, one, recording.label)]
        by_channel: dict[int | None, dict[str, Utterance]] = {}
        for part, channel in parts:
            by_channel.setdefault(channel, {})[part.utterance_id] = part
        for channel, wanted in by_channel.items():
            yield from self._spans_of(file, wanted, recording, channel)
        left.clear()

    def _spans_of(
        self, file: BinaryIO, left: dict[str, Utterance], recording: Recording, channel: int | None
    ) -> Iterator[Row]:
        file.seek(0)
        label, level = recording.label, MixLevel()
        ordered = sorted(left.values(), key=lambda item: item.start or 0.0)
        spans = [(round((item.start or 0.0) * SAMPLE_RATE), _samples(item.end)) for item in ordered]
        try:
            blocks = resampled(open_audio(file, label), label, channel, level)
            for index, piece in slice_spans(blocks, spans):
                yield from self._span(ordered[index], piece, recording)
                del left[ordered[index].utterance_id]
        except RowError as error:
            yield from (error_row(utterance, str(error), label) for utterance in left.values())
        self.quiet_mixes += level.is_quiet

    def _span(self, utterance: Utterance, piece: Piece, recording: Recording) -> Iterator[Row]:
        missing = (utterance.end or 0.0) - piece.end_seconds
        if len(piece.samples) < MIN_SAMPLES or missing > _OVERSHOOT_SECONDS:
            there = piece.end_seconds - piece.start_seconds
            message = (
                f"{recording.label}: the segment from {utterance.start} to {utterance.end} s is too short or beyond "
                f"the end; {there:.3f} s of it are there."
            )
            yield error_row(utterance, message, recording.label)
        elif len(piece.samples) > self._max_seconds * SAMPLE_RATE:
            for row in self._cut(iter([piece.samples]), utterance, piece.start):
                yield row | {"recording_id": recording.recording_id}
        else:
            yield piece_row(utterance, piece, recording.recording_id)


def _placed(item: Row, place: Row) -> Row:
    """Return where a row of audio parquet lies: where it says itself and, if it was cut, that much later."""
    if item["recording_id"] is None or "recording_id" not in place:
        return place
    times = {name: place["start_seconds"] + item[name] for name in ("start_seconds", "end_seconds")}
    return place | times


def audio_row(utterance: Utterance, data: bytes, samples: int, path: str) -> Row:
    """A row that carries encoded audio as it came; ``samples`` count at 16 kHz."""
    return {
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "session": utterance.session,
        "tenant": utterance.tenant,
        "recording_id": None,
        "duration_seconds": samples / SAMPLE_RATE,
        "text": utterance.text,
        "audio_sha256": hashlib.sha256(data).hexdigest(),
        "audio": {"bytes": data, "path": path},
    }


def piece_row(utterance: Utterance, piece: Piece, recording_id: str) -> Row:
    """A row cut from a recording: FLAC, with its place in it."""
    data = encode_flac(piece.samples)
    place = {
        "recording_id": recording_id,
        "start_seconds": piece.start_seconds,
        "end_seconds": piece.end_seconds,
    }
    return audio_row(utterance, data, len(piece.samples), f"{utterance.utterance_id}.flac") | place


def error_row(utterance: Utterance, message: str, path: str) -> Row:
    """A row that keeps its id and what is known of it, and says why there is no audio."""
    return {
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
        "session": utterance.session,
        "tenant": utterance.tenant,
        "recording_id": None,
        "start_seconds": utterance.start,
        "end_seconds": utterance.end,
        "text": utterance.text,
        "audio": {"bytes": None, "path": path},
        "error": message,
    }


def _samples(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SAMPLE_RATE)
