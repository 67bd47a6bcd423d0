"""What a corpus of so many hours takes: device hours, bytes, nodes for a deadline, cost. Plain arithmetic on rates.

encoder hours = audio hours / encode_x          decoder core hours = audio hours / decode_x
encoders      = encoder hours / (deadline x utilisation), rounded up to whole nodes; decoders likewise
audio         = audio hours / audio_x core hours for encoders on GPUs: on cores beside them, the rest beside decoders
cores per GPU = encode_cores + encode_x / audio_x + encode_x / shortlist_x, the last with an adapter beside the GPU
wall hours    = the slower of the two stages on the nodes so chosen, as they run at the same time
cost          = wall hours x nodes x price per hour  +  bytes kept x months x price per GB and month
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ConfigError

_MB, _GB = 1e6, 1e9
_BLOCKS_PER_ACTOR = 4  # two tasks in flight per actor, each with its input and its output in the object store
_STORE_MARGIN = 2.0  # blocks that are read ahead, or wait to be written
_DECODED_MB = 8 * 960 * 0.032
"""What an encoder on a GPU is given at once: eight batches of acoustic.batch_seconds, at 32 kB a second."""
_DECODED_BLOCKS = 4  # of these: two in flight, one that comes together, one that is decoded


@dataclasses.dataclass(frozen=True)
class Rates:
    """What was measured, on which hardware.

    device:                 "gpu" or "cpu": what one encoder runs on, a GPU or one core
    encode_x, decode_x:     audio hours per hour of one encoder, and of one decoder core
    encode_cores:           cores that one encoder keeps busy itself, beside its GPU; 1 on CPUs
    audio_x:                audio hours that a core decodes in an hour for encoders on GPUs; others do it themselves
    shortlist_x:            audio hours for which a core beside a GPU makes the shortlists of its adapter in an hour; 0
                            where it has none, or where they are part of encode_cores
    audio_mb_per_hour:      as read, per audio hour; so also the two below
    transcript_mb_per_hour: TRANSCRIPTS
    cache_mb_per_hour:      cached first pass
    block_mb:               largest table between two stages
    source:                 where the figures come from
    """

    device: str
    encode_x: float
    decode_x: float
    encode_cores: float
    audio_x: float
    audio_mb_per_hour: float
    transcript_mb_per_hour: float
    cache_mb_per_hour: float
    block_mb: float
    source: str
    shortlist_x: float = 0.0


@dataclasses.dataclass(frozen=True)
class Node:
    """A kind of machine and its price."""

    name: str
    cores: int
    gpus: int
    per_hour: float


@dataclasses.dataclass(frozen=True)
class Prices:
    """Prices in one currency; storage per GB (10**9 bytes) and month."""

    currency: str
    gpu_node: Node
    cpu_node: Node
    storage_gb_month: float
    source: str


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is to be planned.

    deadline_hours: wall time that the job may take
    utilisation:    share of a worker's time in which it works: start-up, stragglers and lost nodes are the rest
    cached:         whether the first pass is kept
    months:         for which transcripts and cache are stored
    """

    audio_hours: float
    deadline_hours: float
    utilisation: float
    cached: bool
    months: float


def rates_from_yaml(content: Mapping[str, Any]) -> Rates:
    """Return a rates file's content; raises ConfigError, naming the key, for what is missing or no number."""
    fields = {field.name: field.type for field in dataclasses.fields(Rates)}
    unknown = sorted(set(content) - set(fields))
    if unknown:
        raise ConfigError(f"rates: unknown key(s) {unknown}; there are {sorted(fields)}.")
    given = {name: kind for name, kind in fields.items() if name in content or name != "shortlist_x"}
    return Rates(**{name: _value(content, name, kind, "rates") for name, kind in given.items()})


def rates_from_run(record: Mapping[str, Any], default: Rates, source: str) -> Rates:
    """Return the rates that a run measured (run.json); what it did not, such as the cache's size, from ``default``.

    Raises ConfigError if its stages lack times, as when it only resumed a complete run.
    """
    stages = record.get("stages", {})
    if not {"encode", "decode"} <= stages.keys() or not {"bytes_in", "cpu_seconds"} <= stages["encode"].keys():
        raise ConfigError(f"{source}: has no measured encode and decode stage; give the run.json of a whole run.")
    encode, decode = stages["encode"], stages["decode"]
    audio = max(encode["audio_seconds"], 1e-9)
    hours = audio / 3600
    on_gpu = encode.get("gpu_busy_share") is not None
    cache = (record.get("emissions") or {}).get("mb_per_audio_hour")
    read = stages.get("audio")
    # Work on cores is counted in processor time, which other work on the same machine hardly changes.
    return Rates(
        device="gpu" if on_gpu else "cpu",
        encode_x=audio / max(encode["busy_seconds" if on_gpu else "cpu_seconds"], 1e-9),
        decode_x=max(decode["audio_seconds"], 1e-9) / max(decode["cpu_seconds"], 1e-9),
        encode_cores=max(encode["cpu_seconds"] / max(encode["busy_seconds"], 1e-9), 0.1) if on_gpu else 1.0,
        audio_x=default.audio_x if read is None else max(read["audio_seconds"], 1e-9) / max(read["cpu_seconds"], 1e-9),
        audio_mb_per_hour=(read or encode)["bytes_in"] / hours / _MB,
        transcript_mb_per_hour=decode["bytes_out"] / hours / _MB,
        cache_mb_per_hour=cache or default.cache_mb_per_hour,
        block_mb=default.block_mb,
        source=source,
    )


def prices_from_yaml(content: Mapping[str, Any]) -> Prices:
    """Return a prices file's content; raises ConfigError, naming the key."""
    nodes = {}
    for name in ("gpu_node", "cpu_node"):
        node = content.get(name)
        if not isinstance(node, Mapping):
            raise ConfigError(f"prices: '{name}' must be a mapping with name, cores, gpus and per_hour, got {node!r}.")
        kinds = {field.name: field.type for field in dataclasses.fields(Node)}
        nodes[name] = Node(**{key: _value(node, key, kind, f"prices: {name}") for key, kind in kinds.items()})
    return Prices(
        currency=_value(content, "currency", str, "prices"),
        storage_gb_month=_value(content, "storage_gb_month", float, "prices"),
        source=_value(content, "source", str, "prices"),
        gpu_node=nodes["gpu_node"],
        cpu_node=nodes["cpu_node"],
    )


def _value(content: Mapping[str, Any], name: str, kind: Any, place: str) -> Any:
    value = content.get(name)
    if kind is str and isinstance(value, str) and value:
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if kind is not str and is_number:
        return kind(value)
    raise ConfigError(f"{place}: '{name}' must be {'a text' if kind is str else 'a number, 0 or more'}, got {value!r}.")


def plan(wanted: Wanted, rates: Rates, prices: Prices) -> dict[str, Any]:
    """Return hours, nodes, bytes and cost; see the module's text for the formulas.

    Raises ConfigError for hours, a deadline or rates that are not above 0, and for GPU rates without a GPU node.
    """
    _check(wanted, rates, prices)
    hours = wanted.audio_hours
    encoder_hours, decoder_hours = hours / rates.encode_x, hours / rates.decode_x
    usable = wanted.deadline_hours * wanted.utilisation
    on_gpu = rates.device == "gpu"
    shortlist_cores = rates.encode_x / rates.shortlist_x if on_gpu and rates.shortlist_x else 0.0
    host_hours = encoder_hours * (rates.encode_cores + shortlist_cores)
    audio_hours = hours / rates.audio_x if on_gpu else 0.0
    gpu_nodes = math.ceil(encoder_hours / usable / prices.gpu_node.gpus) if on_gpu else 0
    beside = min(audio_hours, max(0.0, gpu_nodes * prices.gpu_node.cores * usable - host_hours))
    cpu_work = decoder_hours + (audio_hours - beside if on_gpu else encoder_hours)
    cpu_nodes = max(1, math.ceil(cpu_work / usable / prices.cpu_node.cores))
    slowest = max(
        encoder_hours / (gpu_nodes * prices.gpu_node.gpus) if on_gpu else 0.0,
        (host_hours + beside) / (gpu_nodes * max(1, prices.gpu_node.cores)) if on_gpu else 0.0,
        cpu_work / (cpu_nodes * prices.cpu_node.cores),
    )
    wall = slowest / wanted.utilisation
    return {
        "audio_hours": hours,
        "gpu_hours": encoder_hours if on_gpu else 0.0,
        "cpu_hours": decoder_hours + host_hours + audio_hours,
        "cores_per_gpu": rates.encode_cores + rates.encode_x / rates.audio_x + shortlist_cores if on_gpu else 0.0,
        "shortlist_cores_per_gpu": shortlist_cores,
        "encode_hours": encoder_hours,
        "decode_hours": decoder_hours,
        "nodes": {prices.gpu_node.name: gpu_nodes, prices.cpu_node.name: cpu_nodes} if on_gpu
        else {prices.cpu_node.name: cpu_nodes},
        "wall_hours": wall,
        **_bytes(wanted, rates),
        "object_store_bytes": _store(rates, prices, gpu_nodes, cpu_nodes),
        "cost": _cost(wanted, rates, prices, wall, gpu_nodes, cpu_nodes),
    }  # fmt: skip


def _bytes(wanted: Wanted, rates: Rates) -> dict[str, float]:
    return {
        "audio_bytes": wanted.audio_hours * rates.audio_mb_per_hour * _MB,
        "transcript_bytes": wanted.audio_hours * rates.transcript_mb_per_hour * _MB,
        "cache_bytes": wanted.audio_hours * rates.cache_mb_per_hour * _MB if wanted.cached else 0.0,
    }


def _store(rates: Rates, prices: Prices, gpu_nodes: int, cpu_nodes: int) -> dict[str, float]:
    """Return the shared memory that each kind of node needs, and all of them together; it does not grow with hours."""
    actors = {prices.cpu_node.name: prices.cpu_node.cores}
    counts = {prices.cpu_node.name: cpu_nodes}
    if gpu_nodes:
        actors[prices.gpu_node.name], counts[prices.gpu_node.name] = prices.gpu_node.gpus, gpu_nodes
    each = {name: count * _BLOCKS_PER_ACTOR * _STORE_MARGIN * rates.block_mb * _MB for name, count in actors.items()}
    if gpu_nodes:
        each[prices.gpu_node.name] += prices.gpu_node.gpus * _DECODED_BLOCKS * _DECODED_MB * _MB
    return {f"per {name}": size for name, size in each.items()} | {
        "total": sum(size * counts[name] for name, size in each.items())
    }


def _cost(
    wanted: Wanted, rates: Rates, prices: Prices, wall: float, gpu_nodes: int, cpu_nodes: int
) -> dict[str, float | str]:
    sizes = _bytes(wanted, rates)
    kept = sizes["transcript_bytes"] + sizes["cache_bytes"]
    compute = wall * (gpu_nodes * prices.gpu_node.per_hour + cpu_nodes * prices.cpu_node.per_hour)
    storage = kept / _GB * wanted.months * prices.storage_gb_month
    per_hour = (compute + storage) / wanted.audio_hours
    return {
        "currency": prices.currency,
        "compute": compute,
        "storage": storage,
        "total": compute + storage,
        "per_audio_hour": per_hour,
    }


def _check(wanted: Wanted, rates: Rates, prices: Prices) -> None:
    positive = {
        "hours": wanted.audio_hours,
        "deadline": wanted.deadline_hours,
        "encode_x": rates.encode_x,
        "decode_x": rates.decode_x,
        "audio_x": rates.audio_x,
        "cores of the CPU node": prices.cpu_node.cores,
    }
    for name, value in positive.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be above 0, got {value}.")
    if not 0 < wanted.utilisation <= 1:
        raise ConfigError(f"utilisation must be above 0 and at most 1, got {wanted.utilisation}.")
    if rates.device not in ("cpu", "gpu"):
        raise ConfigError(f"rates: 'device' must be cpu or gpu, got '{rates.device}'.")
    if rates.device == "gpu" and prices.gpu_node.gpus < 1:
        raise ConfigError("the rates are of encoders on GPUs, but the prices' gpu_node has none.")
