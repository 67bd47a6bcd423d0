"""The executor that works in this process: the same stages over the same folder, without Ray.

    read -> encode, on a thread a core -> adapt, decode, rescore and write, here

Where there is a GPU the threads only decode audio, and encoding too is done here, a few full batches at a time.
A few rows are on their way at any time, whatever the size of the corpus. The threads share one model: torch and the
codecs let go of Python's lock while they compute. What follows takes a tenth of the time and remembers lists, so one
thread does it, in the order of the corpus.
"""

import collections
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from actors.batch import LocalMeter
from actors.stages import audio_batch, decode_batch, encode_batch, told
from jobs.run.encoder_rows import encoder_rows
from jobs.run.executor import usable_cores
from jobs.run.lint import Sounds, begin_lint, lint_facts
from jobs.run.preflight import Transcription
from jobs.run.progress import progress_bars
from jobs.run.recordings import clear_settings, note_here
from jobs.run.transcribe_run import Work
from pipeline.acoustic.adapter_files import with_adapter
from pipeline.entities import snapshot
from pipeline.lint.findings import Finding
from pipeline.runs.cache import Cache
from pipeline.runs.checkpoint import Committer, begin_attempt, finished_ids
from pipeline.runs.emission_cache import without_lists, write_emissions
from pipeline.runs.folder import RunFolder
from pipeline.runs.transcript_files import write_transcripts
from pipeline.storage import Location, attempt

if TYPE_CHECKING:
    from pipeline.recognition.recogniser import Recogniser

_PIECE_ROWS = 8
"""Utterances that a thread encodes at a time: a second of work, so that none is left alone for long at the end."""
_AHEAD = 2  # pieces per thread that are on their way
_READ_BYTES = 1 << 20  # of a column at a time; without it, a whole row group of audio would come into memory

Stage = Callable[[pa.Table], pa.Table]
Source = Callable[[Collection[str]], Iterator[pa.Table]]
"""Yields what is left to do, given the ids that are done."""


@dataclasses.dataclass(frozen=True)
class LocalExecutor:
    """Works in this process.

    encoders:       threads that encode, None for one per core, and one with a model that takes no more; beside a GPU,
                    threads that decode audio
    max_error_rate: as LocalMeter's
    """

    console: Console
    encoders: int | None = None
    max_error_rate: float | None = None

    def work(self, run: Transcription) -> Work:
        """Do what is left of the run; raises RollcallError."""
        meter = LocalMeter(self.max_error_rate)
        sounds = begin_lint(run, _listen)
        with _single_threaded_torch():
            encodes, decodes = _load(run)
            gpus = int(encodes is not None and _has_gpu(run))
            several = encodes is not None and encodes.parts.model.takes_threads and not gpus
            threads = (self.encoders or usable_cores()) if several or gpus else 1
            workers = {"audio": threads, "encode": 1, "decode": 1} if gpus else {"encode": threads, "decode": 1}
            with _threads(threads) as pool, progress_bars(meter.read, run.corpus.rows, self.console, workers):
                _carry_out(run, encodes, decodes, meter, pool, gpus > 0)
        ended = time.time()
        model_id = encodes.parts.model.model_id if encodes is not None else _cache_of(run).model_id()
        return Work(model_id, meter.read(), workers, gpus > 0, _resources(gpus), lint_facts(run, sounds), 0, ended)


def _has_gpu(run: Transcription) -> bool:
    from pipeline.acoustic.precision import choose_device  # torch takes a second to import

    return choose_device(run.config.acoustic.device).type == "cuda"


def _load(run: Transcription) -> "tuple[Recogniser | None, Recogniser]":
    """Return what encodes, None where the first pass is there already, and what decodes: one object if it can be.

    A first pass that is cached is one for an adapter, whether this run has one or not. Raises ModelError or
    ConfigError.
    """
    from pipeline.recognition.recogniser import Recogniser

    first = run.config if run.cache is None else with_adapter(run.config)
    one = run.encodes and first == run.config
    decodes = Recogniser.load(
        run.config, config_fingerprint=run.config_fingerprint, list_column=run.list_column, encodes=one
    )
    decodes = decodes.with_lists(snapshot.load(run.folder.lists, decodes.parts.tokens.alphabet))
    if one or not run.encodes:
        return decodes if one else None, decodes
    return Recogniser.load(first, list_column=run.list_column, transcribes=False), decodes


def _carry_out(
    run: Transcription, encodes: "Recogniser | None", decodes: "Recogniser", meter: LocalMeter,
    pool: ThreadPoolExecutor, on_gpu: bool,
) -> None:  # fmt: skip
    """As jobs.run.dataset_plan.run_plan: a cached first pass is written whole before anything is decoded."""

    def read(audio: pa.Table) -> pa.Table:
        return audio_batch(audio, meter)

    def encode(audio: pa.Table) -> pa.Table:
        assert encodes is not None
        return encode_batch(encodes, audio, meter)

    def decode(emissions: pa.Table) -> pa.Table:
        return decode_batch(recogniser, emissions, meter)

    encoded = _encoded(run, encode, pool) if not on_gpu else _read_ahead(run, read, encode, pool)
    recogniser = decodes
    if run.cache is None:
        _write(run, run.folder, write_transcripts, encoded, decode)
        return
    if encodes is not None:
        _write(run, run.cache.folder, write_emissions, encoded)
        run.cache.folder.end_attempt()
        run.cache.write_record(run.corpus)
    clear = clear_settings(run)
    if clear is not None:
        note_here(clear, run.cache.folder.files())
        recogniser = told(decodes, run.folder)
    _write(run, run.folder, write_transcripts, _cached(run), decode)


def _write(
    run: Transcription, folder: RunFolder, write: Callable[[pa.Table, BinaryIO], object], source: Source,
    stage: Stage = lambda table: table,
) -> None:  # fmt: skip
    """Put what is left of ``source`` through ``stage`` and into the folder, a file per block of rows."""
    files = Committer(begin_attempt(folder), write)
    for block in _blocks(map(stage, source(finished_ids(folder))), run.block_rows):
        files.commit(block)


def _blocks(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of ``tables`` in their order, so many at a time."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(map(len, waiting)) >= rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, rows)
            waiting = [joined.slice(rows)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting)


def _encoded(run: Transcription, encode: Stage, pool: ThreadPoolExecutor) -> Source:
    """EMISSIONS from the audio, encoded by the pool ahead of whoever takes them."""
    return lambda done: _ahead(run, encode, pool, done)


def _read_ahead(run: Transcription, read: Stage, encode: Stage, pool: ThreadPoolExecutor) -> Source:
    """EMISSIONS from the audio, which the pool decodes ahead of the encoder."""
    rows = encoder_rows(run, encoders=1)
    return lambda done: map(encode, _blocks(_ahead(run, read, pool, done), rows))


def _ahead(run: Transcription, stage: Stage, pool: ThreadPoolExecutor, done: Collection[str]) -> Iterator[pa.Table]:
    """Yield what is left of the corpus after ``stage``, in its order; the pool works ahead of whoever takes it."""
    waiting: collections.deque[Future[pa.Table]] = collections.deque()
    for piece in _read(run.corpus.files, run.audio_columns, min(_PIECE_ROWS, run.block_rows), done):
        waiting.append(pool.submit(stage, piece))
        if len(waiting) >= _AHEAD * pool._max_workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _cached(run: Transcription) -> Source:
    """EMISSIONS from the cache, with the utterances' own lists only if this run uses them."""
    files = _cache_of(run).folder.files()

    def source(done: Collection[str]) -> Iterator[pa.Table]:
        rows = _read(files, None, run.block_rows, done)
        return rows if run.list_column else map(without_lists, rows)

    return source


def _cache_of(run: Transcription) -> Cache:
    assert run.cache is not None
    return run.cache


def _read(files: Sequence[Location], columns: list[str] | None, rows: int, done: Collection[str]) -> Iterator[pa.Table]:
    """Yield at most so many rows at a time that are not done, file by file; raises StorageError."""
    for file in files:
        for batch in _batches(file, columns, rows):
            left = [name not in done for name in batch["utterance_id"].to_pylist()]
            if any(left):
                yield pa.Table.from_batches([batch]).filter(pa.array(left))


def _batches(file: Location, columns: list[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    opened = attempt(lambda: pq.ParquetFile(file.path, filesystem=file.arrow(), buffer_size=_READ_BYTES), file, "read")
    with opened as parquet:
        batches = parquet.iter_batches(rows, columns=columns)
        while (batch := attempt(lambda: next(batches, None), file, "read")) is not None:
            yield batch


@contextlib.contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads with one core each; what has not begun when it is left is dropped."""
    import torch

    pool = ThreadPoolExecutor(count, "encode", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _single_threaded_torch() -> Iterator[None]:
    """As with Ray: several threads that compute alone beat one with helpers, and the numbers are the same."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _listen(run: Transcription) -> Sounds:
    """Look at the sounds of the run's lists in a thread beside the work, which ends with the process."""
    found: Future[list[Finding]] = Future()

    def look() -> None:
        from pipeline.lint.check import lint_sound

        try:
            found.set_result(lint_sound(snapshot.load_union(run.folder.lists), run.config))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=look, name="lint", daemon=True).start()
    return found.result


def _resources(gpus: int) -> dict[str, float]:
    """What this machine has, under Ray's names."""
    facts = {"CPU": float(usable_cores())}
    if hasattr(os, "sysconf"):
        facts["memory"] = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return facts | ({"GPU": float(gpus)} if gpus else {})
