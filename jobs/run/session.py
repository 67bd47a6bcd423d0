"""Connecting to Ray: a cluster if RAY_ADDRESS names one, else a lean local instance; and who gets which resources."""

import contextlib
import dataclasses
import logging
import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TypedDict

import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

from jobs.cli.command import FAILED
from jobs.run.executor import usable_cores, usable_gpus
from jobs.run.leftovers import kill_marked, marking
from pipeline.errors import RollcallError

_STORE_PER_CPU = 160 << 20
"""Bytes of shared memory per local core: some twenty blocks, of which a few are on their way at any time."""
_MIN_STORE = 320 << 20
_STORE_PER_GPU = 1 << 30
"""The same for a local GPU: eight batches of decoded audio are 246 MB, of which four are on their way."""
BLOCK_BYTES = 8 << 20
"""Largest block of a dataset: about 45 min of Opus or 4 min of WAV. Bounds what is read ahead of the encoders."""
_IN_FLIGHT = 2  # tasks per actor: one at work, one whose block is on its way
_START_TRIES = 3
_FREE_CPUS = 2.0
"""Logical CPUs that no actor of ours takes. One is for the tasks that read, cut and write blocks. The other is for the
actor with which Ray Data filters finished rows out of a resumed run. Without them a run waits for ever."""
_CUTTING_CPUS = 1.0
"""Another where encoders have GPUs: what they write is cut into blocks of its own."""
AUDIO_RESOURCE = "audio"
"""Ray's name for cores that decode audio, where nodes offer them apart from their CPUs: one each. Nodes with GPUs do,
so that their cores decode audio and nothing else runs there (cluster.yaml)."""
_DECODING_PER_AUDIO = 4
"""Cores that search and rescore for each that decodes audio; that takes a quarter of the time or less."""


class StartError(RollcallError):
    """Ray did not start."""

    exit_code = FAILED


@dataclasses.dataclass(frozen=True)
class Workers:
    """How many actors there are and what each takes.

    The CPU shares only tell Ray how many actors fit on a node. Encoders on CPUs compute on one thread each: several
    single-threaded ones beat one with several threads, and leave no core waiting at the end of an operation.

    elastic: The number of actors may change while the run goes on. It then uses nodes that join the cluster, and goes
             on with fewer actors when nodes leave. If off, the run has these numbers of actors from start to end.
    alone:   how many decoders a run from a cached first pass has, and the CPU share of each; no encoders run then
    readers: tasks that decode audio for the encoders at a time; 0 where encoders do it themselves
    reader_cpus, reader_slots: CPUs, or AUDIO_RESOURCE, that each of these takes
    """

    encoders: int
    decoders: int
    encoder_gpus: float
    encoder_cpus: float
    decoder_cpus: float
    encoder_threads: int = 1
    elastic: bool = False
    alone: tuple[int, float] = (1, 1.0)
    readers: int = 0
    reader_cpus: float = 0.0
    reader_slots: float = 0.0

    @property
    def reading(self) -> TaskPoolStrategy:
        """How many tasks decode audio at a time; where the number may change, as many as there is room for."""
        return TaskPoolStrategy() if self.elastic else TaskPoolStrategy(size=self.readers)

    def pool(self, actors: int, takes: float) -> ActorPoolStrategy:
        """Return a pool of ``actors`` that take so many CPUs or GPUs each.

        Actors that take 0 never fill a node: an elastic pool of them would grow without end, so its size is fixed.
        """
        if self.elastic and takes > 0:
            return ActorPoolStrategy(min_size=1, initial_size=actors, max_tasks_in_flight_per_actor=_IN_FLIGHT)
        return ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=_IN_FLIGHT)

    @property
    def by_stage(self) -> dict[str, int]:
        """Workers of each stage, under the names that the meter counts by."""
        stages = {"audio": self.readers, "encode": self.encoders, "decode": self.decoders}
        return {name: count for name, count in stages.items() if count}


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What the user wants of the above; None is chosen by choose_workers."""

    encoders: int | None = None
    decoders: int | None = None
    gpus_per_encoder: float | None = None


def choose_workers(
    resources: Mapping[str, float], wishes: Wishes, on_cluster: bool = False, blocks: int | None = None
) -> Workers:
    """Return the actors for a cluster with ``resources`` (as ray.cluster_resources()) and so many blocks of rows.

    With GPUs: one encoder on each. Encoders ask for no CPU there, so that nodes which offer GPUs and no CPUs run them
    and what decodes audio. That is AUDIO_RESOURCE, where there is some, or a fifth of the cores, which decoders share.
    Without GPUs: an encoder per core, which decodes its audio itself, and a decoder per four cores, as decoding takes a
    tenth of encoding's time or less. There are no more actors than blocks, as the others would only load their models.
    ``on_cluster``: the numbers may change while the run goes on, unless the user chose them.
    """
    most = math.inf if blocks is None else max(1, blocks)
    cpus, gpus = resources.get("CPU", 1.0), resources.get("GPU", 0.0)
    per_encoder = wishes.gpus_per_encoder if wishes.gpus_per_encoder is not None else float(gpus > 0)
    alone = wishes.decoders or max(1, int(min(cpus, most)))
    workers = _beside_gpus(resources, wishes, per_encoder, most) if per_encoder else _on_cores(cpus, wishes, most)
    return dataclasses.replace(
        workers,
        elastic=on_cluster and wishes.encoders is None and wishes.decoders is None,
        alone=(alone, _share(max(cpus - _FREE_CPUS, 0.0), alone)),
    )


def _beside_gpus(resources: Mapping[str, float], wishes: Wishes, per_encoder: float, most: float) -> Workers:
    available = max(resources.get("CPU", 1.0) - _FREE_CPUS - _CUTTING_CPUS, 0.0)
    encoders = wishes.encoders or max(1, int(min(resources.get("GPU", 0.0) / per_encoder, most)))
    slots = int(resources.get(AUDIO_RESOURCE, 0.0))
    if slots:
        decoders = wishes.decoders or max(1, int(min(available, most)))
        share = _share(available, decoders)
        return Workers(encoders, decoders, per_encoder, 0.0, share, readers=slots, reader_slots=1.0)
    of_all = available * _DECODING_PER_AUDIO / (_DECODING_PER_AUDIO + 1)
    decoders = wishes.decoders or max(1, int(min(of_all, most)))
    readers = max(1, int(min(available - decoders, most)))
    share = _share(available, decoders + readers)
    return Workers(encoders, decoders, per_encoder, 0.0, share, readers=readers, reader_cpus=share)


def _on_cores(cpus: float, wishes: Wishes, most: float) -> Workers:
    encoders = wishes.encoders or max(1, int(min(cpus, most)))
    decoders = wishes.decoders or max(1, int(min(cpus // 4, most)))
    share = _share(max(cpus - _FREE_CPUS, 0.0), encoders + decoders)
    return Workers(encoders, decoders, 0.0, share, share)


def _share(cpus: float, actors: int) -> float:
    """Return what each actor may take, in hundredths, rounded down; 0 is fine on a small machine."""
    return min(1.0, math.floor(100 * cpus / actors) / 100)


@contextlib.contextmanager
def ray_session() -> Iterator[None]:
    """Connect to RAY_ADDRESS or start a local Ray without dashboard, and leave it at the end.

    At the end of a local Ray every process of it is gone. A process that is connected already stays so.
    """
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's core logs harmless things as errors
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere, and one process less
    os.environ.setdefault("RAY_worker_niceness", "0")  # its own 15 starves the work on machines that do anything else
    with contextlib.nullcontext() if ray.is_initialized() else _connected(os.environ.get("RAY_ADDRESS")):
        _set_up_ray_data()
        yield


def _set_up_ray_data() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False  # jobs.run.progress draws its own
    context.target_max_block_size = BLOCK_BYTES
    warnings.filterwarnings("ignore", message="The minimum number of concurrent actors")  # a small corpus is no fault
    context.issue_detectors_config.detectors = []  # every 30 s they tell users to set memory options they cannot reach


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start Ray here; raises StartError where a busy machine does not get it started.

    Ray gives its agents 15 s, not to be changed by a setting, to come up, and crashes where that is not enough.
    """
    local: _LocalOptions = {} if address else _local_options()
    for tries_left in reversed(range(_START_TRIES)):
        with marking() as mark:
            try:
                with _silent_stderr():
                    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
                break
            except BaseException as error:  # Ray has no class of its own for a start that took too long
                _disconnect(mark)
                if "timed out during startup" not in str(error):
                    raise
                if not tries_left:
                    raise StartError(f"Ray did not start in {_START_TRIES} tries: this machine is too busy. Try later, "
                                     "or give RAY_ADDRESS of a cluster.") from error  # fmt: skip
    try:
        yield
    finally:
        _disconnect(mark)


def _disconnect(mark: str) -> None:
    """Leave Ray; of one that was started here, whose processes have the mark, nothing is left."""
    try:
        ray.shutdown()
    finally:
        kill_marked(mark)


class _LocalOptions(TypedDict, total=False):
    """What ray.init is told of a Ray that it starts here."""

    num_cpus: int
    include_dashboard: bool
    object_store_memory: int  # bytes


def _local_options() -> _LocalOptions:
    cpus = usable_cores()
    store = max(_MIN_STORE, cpus * _STORE_PER_CPU) + usable_gpus() * _STORE_PER_GPU
    return {"num_cpus": max(cpus, int(_FREE_CPUS)), "include_dashboard": False, "object_store_memory": store}


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide what Ray's core prints past Python's logging while it starts; exceptions are not touched."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
