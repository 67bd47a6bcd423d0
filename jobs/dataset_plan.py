"""The whole transcription as one Ray Data plan: audio -> EMISSIONS -> TRANSCRIPTS."""

from typing import Any

import ray.data
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

from actors.decoder import DecoderActor
from actors.encoder import EncoderActor
from jobs.preflight import Transcription
from jobs.run_folder import RunFolder
from jobs.session import Workers
from jobs.sink import TranscriptSink
from pipeline.encode import NEEDED


def run_plan(run: Transcription, workers: Workers, meter: Any) -> None:
    """Read, encode, decode and write every row that no earlier attempt has finished.

    Ray Data's checkpoint filters finished ids out behind the read and records ids with each file that is written
    (two-phase commit), so an attempt that dies at any point loses no row and writes none twice. It needs
    Read -> map-like operators -> Write, and appending.
    """
    checkpoint_finished_rows(run.folder)
    wanted = [*NEEDED, *([run.list_column] if run.list_column else [])]
    columns = [name for name in wanted if name in run.corpus.columns]
    files = run.corpus.files
    audio = ray.data.read_parquet([file.path for file in files], filesystem=files[0].arrow()).select_columns(columns)
    emissions = audio.repartition(target_num_rows_per_block=run.block_rows).map_batches(
        EncoderActor,
        fn_constructor_args=(run.config.acoustic, run.list_column, workers.encoder_threads, meter),
        compute=workers.pool(workers.encoders, workers.encoder_gpus or workers.encoder_cpus),
        num_cpus=workers.encoder_cpus,
        num_gpus=workers.encoder_gpus,
        batch_size=run.block_rows,
        batch_format="pyarrow",
    )
    transcripts = emissions.map_batches(
        DecoderActor,
        fn_constructor_args=(run.config, run.folder.lists, run.config_fingerprint, meter),
        compute=workers.pool(workers.decoders, workers.decoder_cpus),
        num_cpus=workers.decoder_cpus,
        batch_size=run.block_rows,
        batch_format="pyarrow",
    )
    # Rescoring, when there is some, is one more map_batches here: TRANSCRIPTS with its n-best in, TRANSCRIPTS out.
    transcripts.write_datasink(TranscriptSink(run.folder, run.folder.start_attempt()))


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
