"""The whole transcription as a Ray Data plan: audio -> EMISSIONS -> TRANSCRIPTS. With a cache between them, as two."""

import functools
import posixpath
from collections.abc import Sequence

import pyarrow as pa
import ray.data
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

from actors.batch import Meter
from actors.decoder import DecoderActor
from actors.encoder import EncoderActor
from actors.stages import audio_batch
from jobs.run.encoder_rows import encoder_rows
from jobs.run.preflight import Transcription
from jobs.run.recordings import clear_settings, note_on_ray
from jobs.run.session import AUDIO_RESOURCE, Workers
from jobs.run.sink import EmissionSink, FolderSink, TranscriptSink
from pipeline.acoustic.adapter_files import with_adapter
from pipeline.runs.checkpoint import begin_attempt
from pipeline.runs.emission_cache import without_lists
from pipeline.runs.folder import RunFolder
from pipeline.storage import Location

_READ_CPUS, _BESIDE_CPUS = 0.9, 0.05
"""CPU shares of the tasks that are no actors: reading, and what goes on beside it, such as writing files.

One CPU is kept free for all of them (jobs.run.session). A read task keeps its share until everything is read, even
while it waits for the actors to take what it has read. If reading took the whole CPU, no write task could start before
that: no row would be saved until the end of reading, and a run that broke would lose them all.
"""
_READ_ROWS = 16
"""Utterances that a task decodes at a time: so that their samples, 4 MB for two minutes, are not in memory twice."""


def run_plan(run: Transcription, workers: Workers, meter: Meter) -> None:
    """Read, encode, decode and write every row that no earlier attempt has finished.

    Ray Data's checkpoint filters finished ids out behind the read and records ids with each file that is written
    (two-phase commit), so an attempt that dies at any point loses no row and writes none twice. It needs
    Read -> map-like operators -> Write, and appending. A cached first pass is such a plan of its own: what is decoded
    is what was cached, whatever attempt wrote it.
    """
    cache = run.cache
    if cache is not None and run.encodes:
        checkpoint_finished_rows(cache.folder)
        _write(_encoded(run, workers, meter, None), EmissionSink(begin_attempt(cache.folder)))
        cache.folder.end_attempt()
        cache.write_record(run.corpus)
    clear = clear_settings(run)
    if clear is not None and cache is not None:
        note_on_ray(clear, cache.folder.files(), *workers.alone)
    checkpoint_finished_rows(run.folder)
    emissions = _encoded(run, workers, meter, run.folder.lists) if cache is None else _cached(run)
    size, cpus = (workers.decoders, workers.decoder_cpus) if cache is None else workers.alone
    transcripts = emissions.map_batches(
        DecoderActor,
        fn_constructor_args=(run.config, run.folder, run.config_fingerprint, meter),
        compute=workers.pool(size, cpus),
        num_cpus=cpus,
        batch_size=run.block_rows,
        batch_format="pyarrow",
    )
    _write(transcripts, TranscriptSink(begin_attempt(run.folder)))


def _encoded(run: Transcription, workers: Workers, meter: Meter, lists: Location | None) -> ray.data.Dataset:
    """EMISSIONS from the audio; with ``lists`` the contextual adapter, if there is one, has run over them."""
    config = with_adapter(run.config) if lists is None else run.config
    audio = _read(run.corpus.files, run.corpus.schema).select_columns(run.audio_columns)
    audio = audio.repartition(target_num_rows_per_block=run.block_rows)
    rows = run.block_rows
    if workers.readers:
        audio = _decoded(audio, run, workers, meter)
        rows = encoder_rows(run, workers.encoders)
    emissions = audio.map_batches(
        EncoderActor,
        fn_constructor_args=(config, run.list_column, workers.encoder_threads, meter, lists),
        compute=workers.pool(workers.encoders, workers.encoder_gpus or workers.encoder_cpus),
        num_cpus=workers.encoder_cpus,
        num_gpus=workers.encoder_gpus,
        batch_size=rows,
        batch_format="pyarrow",
    )
    return emissions if rows == run.block_rows else emissions.repartition(target_num_rows_per_block=run.block_rows)


def _decoded(audio: ray.data.Dataset, run: Transcription, workers: Workers, meter: Meter) -> ray.data.Dataset:
    """Rows with their audio decoded, for encoders on GPUs: some two minutes of it go into a block."""
    slots = {AUDIO_RESOURCE: workers.reader_slots} if workers.reader_slots else None
    return audio.map_batches(
        functools.partial(audio_batch, meter=meter),
        compute=workers.reading,
        num_cpus=workers.reader_cpus,
        batch_size=min(run.block_rows, _READ_ROWS),
        batch_format="pyarrow",
        resources=slots,
    )


def _cached(run: Transcription) -> ray.data.Dataset:
    """EMISSIONS from the cache, with the utterances' own lists only if this run uses them."""
    assert run.cache is not None
    emissions = _read(run.cache.folder.files())
    if not run.list_column:
        emissions = emissions.map_batches(without_lists, batch_format="pyarrow", batch_size=None, num_cpus=_BESIDE_CPUS)
    return emissions.repartition(target_num_rows_per_block=run.block_rows)


def _read(files: Sequence[Location], schema: pa.Schema | None = None) -> ray.data.Dataset:
    """Read the files as they are: what stands in their paths, as ``lang=en/``, is no column, and any name will do.

    Ray reads nothing of a file whose ending is not in its list, and says nothing: the list is that of the files. Its
    newer reader cannot be given a file without ending, its older one can.
    """
    paths = [file.path for file in files]
    endings = sorted({posixpath.splitext(path)[1] for path in paths})
    context = DataContext.get_current()
    newer = context.use_datasource_v2
    context.use_datasource_v2 = newer and "" not in endings
    try:
        return ray.data.read_parquet(
            paths,
            filesystem=files[0].arrow(),
            num_cpus=_READ_CPUS,
            partitioning=None,
            file_extensions=None if "" in endings else endings,
            **({} if schema is None else {"schema": schema}),
        )
    finally:
        context.use_datasource_v2 = newer


def _write(rows: ray.data.Dataset, sink: FolderSink) -> None:
    rows.write_datasink(sink, ray_remote_args={"num_cpus": _BESIDE_CPUS})


def checkpoint_finished_rows(folder: RunFolder) -> None:
    """Make Ray Data record the ids of written rows in the run's folder and skip them when it runs again."""
    config = CheckpointConfig(
        id_column="utterance_id",
        checkpoint_path=folder.checkpoint.path,
        override_filesystem=folder.root.arrow(),
        delete_checkpoint_on_success=False,  # only run.json says that a run is complete
    )
    config.checkpoint_actor_pool_max_size = 1  # its actors take a CPU each and would leave none for reading
    DataContext.get_current().checkpoint_config = config
