"""Arrow schema of every dataset, in the order the data flows: AUDIO -> EMISSIONS -> TRANSCRIPTS -> SCORES, REVIEWS.

Units stand in the field metadata (``unit``), meanings in ``about``. Rules that hold everywhere: one row per
``utterance_id`` end to end; a row that cannot be processed keeps its id and has ``error`` set.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.errors import InputError


def _field(name: str, kind: pa.DataType, about: str, unit: str = "", nullable: bool = True) -> pa.Field:
    metadata = {"about": about} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


_UTTERANCE_ID = _field("utterance_id", pa.string(), "unique within a dataset, the same end to end", nullable=False)
_DURATION = _field("duration_seconds", pa.float64(), "length of the audio", "s")
_ERROR = _field("error", pa.string(), "why this row could not be processed; null if it was")

_ORIGIN = [
    _field("speaker", pa.string(), "speaker label"),
    _field("session", pa.string(), "the conversation that the utterance is part of"),
    _field("tenant", pa.string(), "whose recording it is, where several customers or teams share a dataset"),
    _field(
        "recording_id", pa.string(), "the recording that this utterance was cut from; null where it is a whole file"
    ),
    _field("recording_path", pa.string(), "the audio file as its source calls it"),
    _field("start_seconds", pa.float64(), "where the utterance starts in its recording", "s"),
    _field("end_seconds", pa.float64(), "where the utterance ends in its recording", "s"),
]
ORIGIN = tuple(field.name for field in _ORIGIN)
"""Where an utterance comes from. These columns travel unchanged from AUDIO through EMISSIONS to TRANSCRIPTS, so that
exports need no audio. Where files were written before they did, they read as null."""

AUDIO = pa.schema(
    [
        _UTTERANCE_ID,
        *_ORIGIN,
        _DURATION,
        _field("text", pa.string(), "reference transcript, if known"),
        _field("entities", pa.list_(pa.string()), "this utterance's own entity list, if it has one"),
        _field("audio_sha256", pa.string(), "sha256 of the encoded audio bytes"),
        _field("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "Hugging Face Audio layout"),
        _ERROR,
    ]
)
AUDIO_REQUIRED = ("utterance_id", "audio")
"""What a user's parquet must have; every other AUDIO column is filled with nulls when it is missing."""

WAVEFORM = pa.schema(
    [_field("pcm_16khz", pa.list_(pa.int16()), "mono samples, full scale 32,768; null where there is an error")]
)
"""Stands in AUDIO rows in place of ``audio`` once that is decoded. It is never written to a file."""

_IDENTITY = [
    _field("audio_sha256", pa.string(), "sha256 of the encoded audio bytes"),
    _field("model_id", pa.string(), "content hash of the acoustic model"),
]

EMISSIONS = pa.schema(
    [
        _UTTERANCE_ID,
        _DURATION,
        *_IDENTITY,
        _field("frame_seconds", pa.float32(), "time between frames", "s"),
        _field("frames", pa.int32(), "number of frames T", "frames"),
        _field("k", pa.int32(), "candidates kept per frame; the flat lists below are [T, k] row by row"),
        _field("token_ids", pa.list_(pa.int16()), "candidate token ids, best first"),
        _field("token_log_probs", pa.list_(pa.float16()), "their log-probabilities", "nat"),
        _field("phones", pa.int32(), "columns P of the phone log-probs"),
        _field("phone_log_probs", pa.list_(pa.float16()), "phone CTC log-probabilities, flat [T, P]", "nat"),
        _field("entities", pa.list_(pa.string()), "this utterance's own entity list, carried along"),
        *_ORIGIN,
        _ERROR,
    ]
)
EMISSIONS_REQUIRED = tuple(name for name in EMISSIONS.names if name not in ORIGIN)
"""What every cached first pass has, also one that was written before ORIGIN travelled along."""

PHONE_CLOCK = pa.schema(
    [
        _field("phone_frames", pa.int32(), "frames T of the phone log-probs", "frames"),
        _field("phone_frame_seconds", pa.float32(), "time between them", "s"),
    ]
)
"""Further columns of EMISSIONS rows whose phones are of another model, and so have frames of their own."""

ADAPTER_INPUT = pa.schema(
    [
        _field(
            "last_states",
            pa.list_(pa.float16()),
            "the network's last hidden state, which its output layer reads, flat [T, D]",
        ),
        _field(
            "adapter_query",
            pa.list_(pa.float16()),
            "the adapter's query of the audio; it does not depend on the list, flat [T, Q]",
        ),
    ]
)
"""Further columns of EMISSIONS rows for runs with an adapter: what it reads of the first pass."""

SHORTLISTED = pa.struct(
    [
        _field("entity", pa.string(), "canonical form in the list"),
        _field("strategies", pa.list_(pa.string()), "retrieval strategies that found it; none: the whole list is used"),
    ]
)

ADAPTER_OUTPUT = pa.schema(
    [
        _field("adapted_ids", pa.list_(pa.int16()), "token_ids after the adapter, [T, k]; null where it did nothing"),
        _field("adapted_log_probs", pa.list_(pa.float16()), "their log-probabilities", "nat"),
        _field("shortlist", pa.list_(SHORTLISTED), "the plausible entities of the utterance's list, in its order"),
        _field("shortlist_version", pa.string(), "content hash of the list that they are from"),
        _field(
            "attended", pa.list_(pa.float16()), "per entity of it: highest share of a frame, sum, that frame; [E, 3]"
        ),
    ]
)
"""What the adapter writes in place of ADAPTER_INPUT. It depends on the list, so a cached first pass never holds it."""

CLEAR = pa.schema(
    [
        _UTTERANCE_ID,
        _field("recording", pa.string(), "the recording or session that it is of, with its tenant; null for none"),
        _field("start_seconds", pa.float64(), "where the utterance starts in its recording", "s"),
        _field("names", pa.list_(pa.string()), "names of its list that are clear in it without biasing, sorted"),
    ]
)
"""What a run with a session notes of each utterance before any is decoded."""

EARLIER = pa.schema(
    [
        _field("earlier", pa.list_(pa.string()), "names that were clear earlier in the recording"),
    ]
)
"""A further column of EMISSIONS rows for runs with a session. It depends on the list, so no cache holds it."""

WORD = pa.struct(
    [
        _field("word", pa.string(), "as written"),
        _field("start_seconds", pa.float32(), "first frame of the word", "s"),
        _field("end_seconds", pa.float32(), "end of its last frame", "s"),
        _field("confidence", pa.float32(), "0 to 1"),
    ]
)
HYPOTHESIS = pa.struct(
    [
        _field("text", pa.string(), "as written"),
        _field("acoustic", pa.float32(), "CTC log-probability of the prefix", "nat"),
        _field("lm", pa.float32(), "weighted language model share", "nat"),
        _field("boost", pa.float32(), "share of the biasing", "nat"),
        _field("phone_cost", pa.float32(), "phone alignment cost; null if not rescored", "nat"),
        _field("total", pa.float32(), "what the n-best is sorted by", "nat"),
    ]
)
FOUND_ENTITY = pa.struct(
    [
        _field("entity", pa.string(), "canonical form in the list, normalised"),
        _field("display_as", pa.string(), "with its own casing and accents"),
        _field("start_word", pa.int32(), "index of its first word"),
        _field("end_word", pa.int32(), "one past its last word"),
        _field("start_seconds", pa.float32(), "", "s"),
        _field("end_seconds", pa.float32(), "", "s"),
        _field("techniques", pa.list_(pa.string()), "techniques that fired on it"),
        _field("strategies", pa.list_(pa.string()), "retrieval strategies that found it; none: the whole list is used"),
        _field("acoustic", pa.float32(), "acoustic share of its score", "nat"),
        _field("lm", pa.float32(), "language model share", "nat"),
        _field("boost", pa.float32(), "biasing share", "nat"),
        _field("phone_cost", pa.float32(), "phone alignment cost of the entity", "nat"),
        _field("alternative", pa.string(), "what the unbiased run would have written here"),
        _field("alternative_phone_cost", pa.float32(), "phone alignment cost of the alternative", "nat"),
    ]
)

TRANSCRIPTS = pa.schema(
    [
        _UTTERANCE_ID,
        _field("text", pa.string(), "the transcript, words separated by one space"),
        _field("words", pa.list_(WORD), "with times and confidence"),
        _field("nbest", pa.list_(HYPOTHESIS), "best first"),
        _field("entities", pa.list_(FOUND_ENTITY), "entities of the list in the transcript, in order"),
        *_ORIGIN,
        _DURATION,
        *_IDENTITY,
        _field("list_version", pa.string(), "content hash of the entity list that applied to this row"),
        _field("config_fingerprint", pa.string(), "content hash of the configuration"),
        _ERROR,
    ]
)

TRANSCRIPTS_FORMAT = 3
"""Of TRANSCRIPTS; higher with every change of its columns or of the numbers that they follow from. It is part of the
config fingerprint, so that an unfinished run is never resumed with others. 2: ORIGIN, and the strategies of
FOUND_ENTITY. 3: lengths are padded in the first pass, which rounds a little differently."""

PRIVATE = pa.schema(
    [
        _field("utterance_id", pa.string(), "keyed pseudonym", nullable=False),
        _field("recording_id", pa.string(), "keyed pseudonym"),
        _field("speaker", pa.string(), "keyed pseudonym"),
        _field("text", pa.string(), "names replaced, other words drawn; null where there is no transcript"),
        _field(
            "tags",
            pa.list_(
                pa.struct(
                    [
                        _field("tag", pa.string(), "class of what was replaced"),
                        _field("start_word", pa.int32(), "index of its first word"),
                        _field("end_word", pa.int32(), "one past its last word"),
                    ]
                )
            ),
            "what was replaced, in order",
        ),
    ]
)
"""Everything that a private export says of an utterance: a column that does not stand here does not go out."""

SCORES = pa.schema(
    [
        _UTTERANCE_ID,
        _field("reference", pa.string(), "normalised reference"),
        _field("hypothesis", pa.string(), "normalised hypothesis"),
        *[
            _field(f"{group}_{count}", pa.int32(), f"{group} {count}", "words")
            for group in ("wer", "u_wer", "b_wer")
            for count in ("words", "substitutions", "insertions", "deletions")
        ],
        _field("true_positives", pa.list_(pa.string()), "entities found, one item per occurrence"),
        _field("false_positives", pa.list_(pa.string()), "entities written but not said"),
        _field("false_negatives", pa.list_(pa.string()), "entities said but not written"),
        _DURATION,
        _ERROR,
    ]
)

REVIEWS = pa.schema(
    [
        _field("run", pa.string(), "fingerprint of the run that was reviewed"),
        _field("utterance_id", pa.string(), "as in the run; empty where the file names none", nullable=False),
        _field("audio_sha256", pa.string(), "sha256 of the encoded audio bytes"),
        _field("start_seconds", pa.float64(), "where it starts in the utterance", "s"),
        _field("end_seconds", pa.float64(), "where it ends in the utterance", "s"),
        _field("entity", pa.string(), "the proposed entity as the run has it; null for one that the run missed"),
        _field("text", pa.string(), "what the run wrote there"),
        _field(
            "verdict",
            pa.string(),
            "accepted, rejected, corrected or missed; null where nothing is said but that it was heard whole",
        ),
        _field("correction", pa.string(), "what was said there; of a missed one its name"),
        _field("reviewer", pa.string(), "who says so"),
        _field("reviewed_at", pa.timestamp("us", "UTC"), "when"),
        _field("probability", pa.float64(), "with which the utterance was chosen for review"),
        _field("whole", pa.bool_(), "whether the reviewer heard the whole utterance and marked every name of it"),
        _field("error", pa.string(), "why this review does not count; null if it does"),
    ]
)


MEMORY = pa.schema(
    [
        _field("tenant", pa.string(), "whose recordings it holds for; empty where nobody is named", nullable=False),
        _field("entity", pa.string(), "normalised, as in a list", nullable=False),
        _field("heard", pa.string(), "phones that were heard where it was said, ARPAbet", nullable=False),
        _field("accepted", pa.int32(), "times that reviewers said it was the entity"),
        _field("rejected", pa.int32(), "times that they said it was not"),
        _field("predicted", pa.float64(), "how likely the recogniser's own confusions make it; null where they do not"),
        _field("lower", pa.float64(), "lower bound of the probability that what sounds so is the entity"),
        _field("upper", pa.float64(), "its upper bound"),
    ]
)


DECISIONS = pa.schema(
    [
        _UTTERANCE_ID,
        _field("audio_sha256", pa.string(), "sha256 of the encoded audio bytes"),
        _field("model_id", pa.string(), "content hash of the acoustic model"),
        _field("policy", pa.string(), "version of the policy that decided", nullable=False),
        _field("strategy", pa.string(), "retrieval strategy that it is about", nullable=False),
        _field("features", pa.list_(pa.list_(pa.float64())), "what it was decided by, for each level"),
        _field("greedy", pa.int8(), "level that the policy thinks best, 0 is off"),
        _field("level", pa.int8(), "level that was taken, at or above it"),
        _field("at_least", pa.list_(pa.float64()), "probability of drawing at least each level, from 0 on"),
        _field(
            "candidates",
            pa.list_(pa.int32()),
            "entities that each level from 1 to the taken one finds; null where the strategy could not say",
        ),
        _field(
            "found",
            pa.list_(
                pa.struct(
                    [
                        _field("entity", pa.string(), "canonical form in the list"),
                        _field("level", pa.int8(), "the lowest level that finds it"),
                    ]
                )
            ),
            "entities of the transcript that the strategy found",
        ),
    ]
)
"""What a policy decided in a run: a row per utterance and strategy, none for utterances with an error."""

DECIDED = pa.field("decisions", pa.list_(pa.struct(list(DECISIONS))))
"""A further column of TRANSCRIPTS rows on their way to the files, in runs with a policy: their DECISIONS rows."""


def conform(table: pa.Table, schema: pa.Schema, required: tuple[str, ...], source: str) -> pa.Table:
    """Return ``table`` with exactly the columns of ``schema``: missing optional columns become nulls.

    Raises InputError, naming ``source``, the column, what came and what was needed, if a required column is missing
    or a column cannot be cast. Columns that the schema does not know are left out.
    """
    for name in required:
        if name not in table.column_names:
            raise InputError(
                f"{source}: column '{name}' is missing; it has {table.column_names}. "
                f"Needed are {list(required)}; `python -m jobs.ingest` writes them."
            )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            came = table.schema.field(field.name).type
            raise InputError(f"{source}: column '{field.name}' is {came}, needed is {field.type} ({error}).") from error
    return pa.table(columns, schema=schema)


def is_text(kind: pa.DataType) -> bool:
    """Whether the type holds text, however it is encoded: string, large_string, string_view or a dictionary of them."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_text_list(kind: pa.DataType) -> bool:
    """Whether the type holds lists of text, whatever their encoding."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    return any(test(kind) for test in kinds) and is_text(kind.value_type)


def refuse_repeated(names: Sequence[str], wanted: Iterable[str], source: str) -> None:
    """Raise InputError, naming ``source``, if a column of ``wanted`` is there more than once: which is meant?"""
    twice = sorted({name for name in wanted if names.count(name) > 1})
    if twice:
        raise InputError(f"{source}: columns {twice} are there more than once; it has {list(names)}. Keep one of each.")


def path_of_recording(row: Mapping[str, Any]) -> str | None:
    """Return the audio file that an AUDIO row is of, as its source calls it; None if nobody knows.

    Where there is no ``recording_path`` it is the path in the audio, unless that is what ingest calls a piece that it
    cut, which is no file anywhere.
    """
    path: str | None = row.get("recording_path") or (row.get("audio") or {}).get("path")
    is_piece = row.get("recording_id") is not None and path == f"{row.get('utterance_id')}.flac"
    return None if is_piece else path


def with_origin(table: pa.Table) -> pa.Table:
    """Return EMISSIONS or TRANSCRIPTS rows with every column of ORIGIN; those that are missing are null."""
    for field in _ORIGIN:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table
