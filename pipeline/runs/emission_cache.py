"""The cached first pass: EMISSIONS rows in parquet files, and what says which run may use them.

Nothing is rounded on the way to disk: the encoder rounds to float16 before anything else sees its output, whether it
is cached or not, so that a transcript from the cache equals the one from the audio. What makes the files small is how
they are written: the bytes of each number apart (byte stream split), so that exponents and the high bytes of token
ids, which hardly vary, are compressed away.
"""

import dataclasses
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import AUTO, AcousticConfig, AdapterConfig
from pipeline.config.fingerprint import fingerprint, model_fingerprint, phones_fingerprint
from pipeline.errors import InputError
from pipeline.schemas import ADAPTER_INPUT, EMISSIONS, PHONE_CLOCK
from pipeline.storage import Location, exists, read_bytes

FORMAT = 3
"""Of the files; higher with every change to the rounding or to EMISSIONS. It is part of the folder's name, so that no
cache is filled with two kinds of rows. 2: pipeline.schemas.ORIGIN. 3: lengths are padded in the first pass."""
READABLE = (FORMAT, 2, 1)
"""Formats whose rows can be read, the latest first; columns that they lack are null."""
_SPLIT = ("token_ids", "token_log_probs", "phone_log_probs", *ADAPTER_INPUT.names)
_NOT_HEARD = ("model", "device", "batch_seconds", "calibration")
ADAPTER = "adapter"
"""Key of the adapter's hash in ``CacheIdentity.acoustic``; rows without its queries have none."""
_LEVEL = 3  # of zstd; 9 wins 1% more


def write_emissions(table: pa.Table, file: Any) -> None:
    """Write EMISSIONS rows, with what an adapter needs where it is there, as the cache keeps them.

    file: a path or an open file
    """
    there = [field for field in (*PHONE_CLOCK, *ADAPTER_INPUT) if field.name in table.column_names]
    schema = pa.schema([*EMISSIONS, *there])
    leaves = {name: f"{name}.list.element" for name in schema.names}
    pq.write_table(
        table.cast(schema),
        file,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=["model_id", "entities.list.element"],
        column_encoding={leaves[name]: "BYTE_STREAM_SPLIT" for name in _SPLIT if name in schema.names},
        write_statistics=["utterance_id"],
    )


def without_lists(emissions: pa.Table) -> pa.Table:
    """Return EMISSIONS rows without the utterances' own lists, for a run that does not use them."""
    place, field = emissions.schema.get_field_index("entities"), EMISSIONS.field("entities")
    return emissions.set_column(place, field, pa.nulls(len(emissions), field.type))


@dataclasses.dataclass(frozen=True)
class CacheIdentity:
    """What a cache is of. ``check`` says whether a run may read it.

    audio:       version of the corpus (pipeline.runs.corpus)
    model:       hash of the acoustic model's folder (pipeline.config.fingerprint.model_fingerprint)
    acoustic:    configuration that decides the numbers: candidates per frame, precision, levels
    list_column: audio column whose lists the rows carry, or None
    """

    audio: str
    model: str
    acoustic: dict[str, Any]
    list_column: str | None
    format: int = FORMAT

    @property
    def fingerprint(self) -> str:
        """Names the folder of the cache."""
        return fingerprint(dataclasses.asdict(self))

    def check(self, wanted: "CacheIdentity", source: str) -> None:
        """Raise InputError, naming what differs, unless rows of this cache are those of a first pass of ``wanted``.

        Lists that the cache carries and ``wanted`` does not use are no difference, nor is an earlier format.
        """
        names = ["model", "acoustic", *(["list_column"] if wanted.list_column is not None else [])]
        differing = [name for name in names if getattr(self, name) != getattr(wanted, name)]
        differing += ["format"] if self.format not in READABLE else []
        if "acoustic" in differing and self.acoustic == {ADAPTER: self.acoustic.get(ADAPTER)} | wanted.acoustic:
            differing.remove("acoustic")  # it holds what an adapter needs, and this run has none
        if differing:
            came = {name: getattr(self, name) for name in differing}
            needed = {name: getattr(wanted, name) for name in differing}
            raise InputError(
                f"{source}: the cached first pass has {came}, this run needs {needed}; "
                "cache it anew from the audio with `python -m jobs.transcribe --cache-emissions`."
            )


def acoustic_identity(config: AcousticConfig, adapter: AdapterConfig | None = None) -> dict[str, Any]:
    """Return what of the configuration decides the first pass: not where the model lies or how batches are packed.

    ``adapter``, with its directory filled in, is the one whose queries are in the rows.
    """
    values = dataclasses.asdict(config)
    kept = {name: value for name, value in values.items() if name not in _NOT_HEARD}
    for name in ("language", "phones"):  # caches of earlier versions have neither
        if kept[name] in (None, AUTO):
            del kept[name]
        elif name == "phones":
            kept[name] = phones_fingerprint(kept[name])
    plain: dict[str, Any] = json.loads(json.dumps(kept))  # as read back from a file: tuples are lists
    if adapter is not None and adapter.model is not None:
        plain[ADAPTER] = model_fingerprint(adapter.model)
    return plain


def read_identity(record: Location) -> tuple[CacheIdentity, dict[str, Any]]:
    """Return the identity in a cache's record, and the whole record; raises InputError if it is none."""
    if not exists(record):
        raise InputError(
            f"{record.parent.uri}: holds no {record.name}, so it is no finished cache of a first pass; "
            "`python -m jobs.transcribe --cache-emissions` makes one."
        )
    try:
        content: dict[str, Any] = json.loads(read_bytes(record))
        return CacheIdentity(**content["identity"]), content
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record.uri}: is broken ({error}); remove the cache and make it anew.") from error
