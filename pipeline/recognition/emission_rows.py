"""EMISSIONS rows to and from what they hold: the one place that knows how emissions lie in a table."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schemas import ADAPTER_INPUT, ADAPTER_OUTPUT, EARLIER, EMISSIONS, PHONE_CLOCK, with_origin
from pipeline.types.emissions import Emissions, SparseLogProbs, Whence
from pipeline.types.entity import EntityList
from pipeline.types.shortlist import Shortlist

_ARRAYS = ("token_ids", "token_log_probs", "phone_log_probs")
_SCALARS = tuple(name for name in EMISSIONS.names if name not in _ARRAYS)
_PLAIN = ("shortlist", "shortlist_version", *EARLIER.names)


def emission_columns(emissions: Sequence[Emissions | None]) -> dict[str, pa.Array]:
    """Return the columns of EMISSIONS that hold the first pass of each row; null where there is none."""
    tokens = [None if one is None else one.tokens for one in emissions]
    phones = [None if one is None else one.phone_log_probs for one in emissions]
    return {
        "frames": pa.array([None if one is None else one.frames for one in tokens], pa.int32()),
        "k": pa.array([None if one is None else one.ids.shape[1] for one in tokens], pa.int32()),
        "token_ids": flat_lists([None if one is None else one.ids for one in tokens], pa.int16()),
        "token_log_probs": flat_lists([None if one is None else one.values for one in tokens], pa.float16()),
        "phones": pa.array([None if one is None else one.shape[1] for one in phones], pa.int32()),
        "phone_log_probs": flat_lists(phones, pa.float16()),
    }


def with_phone_clock(table: pa.Table, emissions: Sequence[Emissions | None], frame_seconds: float) -> pa.Table:
    """Return EMISSIONS rows with the clock of phones that are of another model, ``frame_seconds`` apart."""
    phones = [None if one is None else one.phone_log_probs for one in emissions]
    columns = (
        pa.array([None if one is None else len(one) for one in phones], pa.int32()),
        pa.array([None if one is None else frame_seconds for one in phones], pa.float32()),
    )
    for field, column in zip(PHONE_CLOCK, columns, strict=True):
        table = table.append_column(field, column)
    return table


def with_adapter_input(table: pa.Table, emissions: Sequence[Emissions | None]) -> pa.Table:
    """Return EMISSIONS rows with what an adapter needs to run later without the model."""
    inputs = [[None if one is None else getattr(one, name) for one in emissions] for name in ("last", "query")]
    for field, arrays in zip(ADAPTER_INPUT, inputs, strict=True):
        table = table.append_column(field, flat_lists(arrays, pa.float16()))
    return table


def with_adapter_output(
    table: pa.Table, emissions: Sequence[Emissions | None], shortlists: Sequence[Shortlist | None]
) -> pa.Table:
    """Return EMISSIONS rows with ADAPTER_OUTPUT in place of ADAPTER_INPUT."""
    table = table.drop_columns([name for name in ADAPTER_INPUT.names if name in table.column_names])
    adapted = [None if one is None else one.adapted for one in emissions]
    columns = (
        flat_lists([None if one is None else one.ids for one in adapted], pa.int16()),
        flat_lists([None if one is None else one.values for one in adapted], pa.float16()),
        pa.array([_plain(one) for one in shortlists], ADAPTER_OUTPUT.field("shortlist").type),
        pa.array([None if one is None else one.list_version for one in shortlists], pa.string()),
        flat_lists([None if one is None else one.attended for one in emissions], pa.float16()),
    )
    for field, column in zip(ADAPTER_OUTPUT, columns, strict=True):
        table = table.append_column(field, column)
    return table


def _plain(shortlist: Shortlist | None) -> list[dict[str, Any]] | None:
    if shortlist is None:
        return None
    pairs = zip(shortlist.entities.entities, shortlist.strategies, strict=True)
    return [{"entity": entity.text, "strategies": list(strategies)} for entity, strategies in pairs]


def read_emissions(table: pa.Table) -> Iterator[tuple[dict[str, Any], Emissions | None]]:
    """Yield the plain fields of each EMISSIONS row and its emissions, None where the row has an error."""
    clock = [name for name in PHONE_CLOCK.names if name in table.column_names]
    further = (*ADAPTER_INPUT.names, *ADAPTER_OUTPUT.names, *EARLIER.names)
    extra = [name for name in further if name in table.column_names]
    table = with_origin(table).select([*EMISSIONS.names, *clock, *extra]).combine_chunks()
    ids, values, phones = (_lists(table[name]) for name in _ARRAYS)
    adapter = {name: _lists(table[name]) for name in extra if name not in _PLAIN}
    plain = [*_SCALARS, *clock, *(name for name in extra if name in _PLAIN)]
    for index, scalars in enumerate(table.select(plain).to_pylist()):
        if scalars["error"] is not None or scalars["frames"] is None:
            yield scalars, None
            continue
        shape = (scalars["frames"], scalars["k"])
        tokens = SparseLogProbs(ids(index).reshape(shape), values(index).reshape(shape))
        columns = scalars["phones"]
        heard = Emissions(
            tokens,
            phones(index).reshape(-1, columns) if columns else None,
            phone_rate=_phone_rate(scalars),
            tenant=scalars["tenant"] or "",
            whence=_whence(scalars),
            earlier=tuple(scalars.get("earlier") or ()),
        )
        yield scalars, _of_adapter(heard, {name: values_of(index) for name, values_of in adapter.items()})


def _whence(scalars: Mapping[str, Any]) -> Whence:
    audio, model, seconds = (scalars[name] for name in ("audio_sha256", "model_id", "duration_seconds"))
    return Whence(audio or "", model or "", seconds or 0.0, scalars["session"])


def _phone_rate(scalars: Mapping[str, Any]) -> float:
    """Return how many phone frames a row has per frame; one where the phones are of the model itself."""
    seconds = scalars.get("phone_frame_seconds")
    return 1.0 if seconds is None else float(scalars["frame_seconds"] / seconds)


def shortlist_of(scalars: Mapping[str, Any], entities: EntityList) -> Shortlist | None:
    """Return the shortlist that a row carries, of ``entities``; None if it carries none.

    Raises ValueError if it is of another list.
    """
    carried, version = scalars.get("shortlist"), scalars.get("shortlist_version")
    if carried is None:
        return None
    if version != entities.version:
        raise ValueError(f"the adapter saw the list {version}, here it is {entities.version}")
    texts = [one["entity"] for one in carried]
    strategies = tuple(tuple(one["strategies"]) for one in carried)
    kept = entities if len(texts) == len(entities) else EntityList(tuple(entities.by_text[text] for text in texts))
    return Shortlist(kept, strategies, version)


def _of_adapter(heard: Emissions, columns: Mapping[str, npt.NDArray[Any]]) -> Emissions:
    """Return the emissions with what adapter columns the row has; an empty list is none."""
    frames = heard.tokens.frames
    arrays = ("last_states", "adapter_query", "adapted_ids", "adapted_log_probs", "attended")
    last, query, ids, values, attended = (
        None if name not in columns or not len(columns[name]) else columns[name] for name in arrays
    )
    last, query, ids, values = (None if one is None else one.reshape(frames, -1) for one in (last, query, ids, values))
    adapted = None if ids is None or values is None else SparseLogProbs(ids, values)
    attended = None if attended is None else attended.reshape(-1, 3)
    return dataclasses.replace(heard, last=last, query=query, adapted=adapted, attended=attended)


def _lists(column: pa.ChunkedArray) -> Callable[[int], npt.NDArray[Any]]:
    """Return index -> the flat numpy array of that row, without copying."""
    lists = column.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy(zero_copy_only=True)
    return lambda index: values[offsets[index] : offsets[index + 1]]


def flat_lists(arrays: Sequence[npt.NDArray[Any] | None], kind: pa.DataType) -> pa.ListArray:
    """Return one flat list per array, null for None, without a Python object per number."""
    lengths = [0 if array is None else array.size for array in arrays]
    parts = [array.ravel() for array in arrays if array is not None]
    values = np.concatenate(parts) if parts else np.zeros(0, kind.to_pandas_dtype())
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    mask = pa.array([array is None for array in arrays], pa.bool_())
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind), mask=mask)
