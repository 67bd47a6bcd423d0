"""Other runs on the same references: ablations of a technique, sizes of the list, weights of the boost."""

import dataclasses
import json
from typing import Any

from pipeline import storage
from pipeline.errors import InputError
from pipeline.scoring.bootstrap import DEFAULT, Bootstrap
from pipeline.scoring.inputs import ScoringSet, read_lists
from pipeline.scoring.score import ScoreResult

ABLATION, LIST_SIZE, BOOST_WEIGHT = "ablation", "list_size", "boost_weight"
_KEYS = {"kind", "name", "value", "transcripts", "lists"}


@dataclasses.dataclass(frozen=True)
class Variant:
    """One more run. ``value`` is its list size or boost weight; None for an ablation."""

    kind: str
    name: str
    value: float | None
    result: ScoreResult


def read_variants(path: str, corpus: ScoringSet, bootstrap: Bootstrap = DEFAULT) -> list[Variant]:
    """Score the runs that a JSON file names.

    It is a list of objects: ``kind`` (ablation, list_size or boost_weight), ``transcripts`` (a run, parquet or TSV),
    ``name`` for an ablation, ``value`` for the other two, and ``lists`` where the list differs. Raises InputError.
    """
    try:
        entries = json.loads(storage.read_bytes(storage.open_filesystem(path)))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}).") from error
    if not isinstance(entries, list):
        raise InputError(f"{path}: needed is a JSON list of variants, got {type(entries).__name__}.")
    return [_variant(f"{path}: variant {at}", entry, corpus, bootstrap) for at, entry in enumerate(entries, start=1)]


def _variant(where: str, entry: Any, corpus: ScoringSet, bootstrap: Bootstrap) -> Variant:
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS or not isinstance(entry.get("transcripts"), str):
        raise InputError(
            f"{where} must be an object with 'transcripts' and no keys but {sorted(_KEYS)}, got {entry!r}."
        )
    kind, value = entry.get("kind"), entry.get("value")
    if kind not in (ABLATION, LIST_SIZE, BOOST_WEIGHT):
        raise InputError(f"{where}: kind must be {ABLATION}, {LIST_SIZE} or {BOOST_WEIGHT}, got {kind!r}.")
    if kind != ABLATION and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise InputError(f"{where}: a {kind} needs a number as its value, got {value!r}.")
    if kind == ABLATION and not isinstance(entry.get("name"), str):
        raise InputError(f"{where}: an ablation needs a name, got {entry.get('name')!r}.")
    if isinstance(entry.get("lists"), str):
        corpus = dataclasses.replace(corpus, lists=read_lists(entry["lists"], entry["lists"], alphabet=corpus.alphabet))
    name = str(entry.get("name") or f"{value:g}")
    return Variant(kind, name, None if value is None else float(value), corpus.score(entry["transcripts"], bootstrap))
