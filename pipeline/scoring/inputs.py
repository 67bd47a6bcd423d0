"""Reading what is scored: references, transcripts or another system's output, and the lists that applied."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.entities import snapshot
from pipeline.entities.lists import LIST_COLUMNS, SharedEntities, UtteranceLists, is_per_utterance, load_entities
from pipeline.entities.loading import open_parquet
from pipeline.errors import InputError
from pipeline.runs.find import find_run, transcripts_of
from pipeline.runs.folder import RunFolder
from pipeline.scoring.bootstrap import DEFAULT, Bootstrap
from pipeline.scoring.score import NO_LISTS, Lists, Reference, ScoreResult, Written, score
from pipeline.scoring.text_inputs import is_text, open_text, read_texts
from pipeline.text import ENGLISH, Alphabet, foreign_letters, normalise

_SHOWN = 3  # utterances that an error names
_IS21_FIELDS = 4  # id, reference, its rare words, its list; the last two as JSON


@dataclasses.dataclass(frozen=True)
class ScoringSet:
    """What systems are scored on. ``unscored``: ids of the reference that have no text, and so cannot be scored.

    alphabet: of the references and the lists, in which what systems wrote is read too
    """

    references: tuple[Reference, ...]
    unscored: tuple[str, ...]
    lists: Lists
    alphabet: Alphabet = ENGLISH

    @property
    def listless(self) -> list[str]:
        """Ids whose list is empty although there are lists: the file of lists may not name them."""
        if self.lists is NO_LISTS:
            return []
        return [one.utterance_id for one in self.references if not len(self.lists.of(one.utterance_id))]

    def facts(self) -> dict[str, int]:
        """What metrics.json says of the inputs."""
        return {
            "unscored": len(self.unscored),
            "without_list": len(self.listless),
            "list_entries_rejected": len(self.lists.rejected),
        }

    def score(self, path: str, bootstrap: Bootstrap = DEFAULT) -> ScoreResult:
        """Score the transcripts, run directory or TSV at ``path``; raises InputError or StorageError."""
        unscored = set(self.unscored)
        written = {name: text for name, text in read_written(path, self.alphabet).items() if name not in unscored}
        return score(self.references, written, self.lists, bootstrap)


def load_scoring_set(
    reference: str,
    lists: str | None = None,
    column: str | None = None,
    run: RunFolder | None = None,
    alphabet: Alphabet = ENGLISH,
) -> ScoringSet:
    """Read references and lists (see read_references and read_lists); raises InputError or StorageError.

    If neither ``lists`` nor the references have lists, those that ``run`` was made with apply.
    """
    references, unscored = read_references(reference, alphabet)
    found = read_lists(lists, reference, column, alphabet)
    if found is NO_LISTS:
        found = _lists_of_run(run, alphabet) or NO_LISTS
    return ScoringSet(tuple(references), tuple(unscored), found, alphabet)


def scoring_set_of_run(
    path: str, lists: str | None = None, column: str | None = None, alphabet: Alphabet = ENGLISH
) -> ScoringSet:
    """Return what the run at ``path`` wrote as references: what another run changed shows without knowing the truth.

    ``lists`` or the run's own lists apply. Raises InputError or StorageError.
    """
    written = read_written(path, alphabet)
    references = tuple(Reference(name, one.text, one.duration_seconds) for name, one in written.items())
    if lists is not None:
        return ScoringSet(references, (), read_lists(lists, path, column, alphabet), alphabet)
    return ScoringSet(references, (), _lists_of_run(run_folder_of(path), alphabet) or NO_LISTS, alphabet)


def _lists_of_run(run: RunFolder | None, alphabet: Alphabet) -> Lists | None:
    """Return the lists that a run was made with; None if it has none that it knows of."""
    if run is None or not storage.exists(run.lists):
        return None
    return Lists(snapshot.load(run.lists, alphabet).of)


def run_folder_of(path: str) -> RunFolder | None:
    """Return the run directory that holds the transcripts of ``path``; None if they lie alone."""
    return find_run(path) if is_parquet(path) else None


def read_references(path: str, alphabet: Alphabet = ENGLISH) -> tuple[list[Reference], list[str]]:
    """Return the references of AUDIO parquet (a file or folder, with ``text``) or of a text file.

    Text files are TSV (id, text, more fields), CSV, JSONL, Kaldi's text, trn and stm (pipeline.scoring.text_inputs).

    The second value names the rows without a text, which cannot be scored. Raises InputError or StorageError.
    """
    rows = _rows(path, ("duration_seconds", "speaker"))
    known = [row for row in rows if row["text"] is not None]
    if not known:
        raise InputError(f"{path}: no row has a reference text; needed is a 'text' column or lines of id<tab>text.")
    _check_letters(path, ((row["utterance_id"], row["text"]) for row in known), alphabet)
    if not any(row["text"].strip() for row in known):
        raise InputError(f"{path}: all of its {len(known)} texts are empty; needed are lines of id<tab>text.")
    references = [
        Reference(
            row["utterance_id"], normalise(row["text"], alphabet), row.get("duration_seconds"), row.get("speaker")
        )
        for row in known
    ]
    return references, [row["utterance_id"] for row in rows if row["text"] is None]


def read_written(path: str, alphabet: Alphabet = ENGLISH) -> dict[str, Written]:
    """Return a system's output by id: TRANSCRIPTS parquet, a run directory, or a text file as for references.

    A text with letters that are not of the alphabet becomes a row with an error: what it says cannot be counted.
    Raises InputError if that is every text, for an id that comes twice, for a directory of several runs, and for what
    is neither.
    """
    written: dict[str, Written] = {}
    rows = _rows(transcripts_of(path) if is_parquet(path) else path, ("duration_seconds", "error"))
    texts = [(row["utterance_id"], row["text"]) for row in rows if row["text"]]
    if texts and all(foreign_letters(text, alphabet) for _, text in texts):
        _check_letters(path, texts, alphabet)
    for row in rows:
        name = row["utterance_id"]
        if name in written:
            raise InputError(f"{path}: id '{name}' comes twice; every id may have one hypothesis.")
        text, error = row["text"] or "", row.get("error")
        if foreign := foreign_letters(text, alphabet):
            text, error = "", error or f"has letters that are not scored: '{foreign[:20]}'"
        written[name] = Written(normalise(text, alphabet), row.get("duration_seconds"), error)
    return written


def _check_letters(path: str, texts: Iterable[tuple[str, str]], alphabet: Alphabet) -> None:
    """Raise InputError for texts that normalisation would lose letters of: their words would not count."""
    foreign = {name: letters for name, text in texts if (letters := foreign_letters(text, alphabet))}
    if foreign:
        named = ", ".join(f"'{name}' ('{letters[:20]}')" for name, letters in list(foreign.items())[:_SHOWN])
        raise InputError(
            f"{path}: {len(foreign)} texts have letters that are not scored yet: {named}; needed are the letters "
            f"{alphabet.letters}, with or without marks. Write these words so, or leave the rows out."
        )


def _rows(path: str, optional: Sequence[str]) -> list[dict[str, Any]]:
    if is_parquet(path):
        return parquet_rows(path, ("utterance_id", "text"), optional)
    return read_texts(path)


def read_lists(path: str | None, references: str, column: str | None = None, alphabet: Alphabet = ENGLISH) -> Lists:
    """Return the lists at ``path``; without one, those that ``references`` carries, if it does.

    A parquet file that has both ``entities`` and ``list`` (what was spoken, and the list it was spoken from) is read
    for its ``list``. ``column`` names the column instead. Raises InputError.
    """
    if path is None:
        return _own_lists(references, column, alphabet) or NO_LISTS
    if is_parquet(path) and storage.open_filesystem(path).filesystem.isdir(storage.open_filesystem(path).path):
        return _parquet_lists(path, column, alphabet) or NO_LISTS
    source = load_entities(path, column or _list_column(path), alphabet=alphabet)
    rejected = source.corpus.rejected if source.lists is None else source.lists.rejected
    return Lists(source.of, _is21_spoken(path, alphabet), rejected)


def _own_lists(references: str, column: str | None, alphabet: Alphabet) -> Lists | None:
    """The lists that references carry: a column of AUDIO parquet, or the benchmark's TSV."""
    if is_parquet(references):
        return _parquet_lists(references, column, alphabet)
    with open_text(references) as file:
        is_benchmark = len(str(file.readline()).split("\t")) == _IS21_FIELDS
    return read_lists(references, references, column, alphabet) if is_benchmark else None


def _parquet_lists(path: str, column: str | None, alphabet: Alphabet) -> Lists | None:
    """The per-utterance lists of AUDIO parquet, one file or many; None if no utterance has one."""
    columns = (column,) if column else LIST_COLUMNS
    rows = parquet_rows(path, ("utterance_id",), columns)
    names = [name for name in columns if any(row.get(name) is not None for row in rows)]
    if not names:
        return None
    chosen = "list" if "list" in names else names[0]
    shared = SharedEntities(alphabet)
    by_id = {row["utterance_id"]: shared.list_of(row.get(chosen) or (), at) for at, row in enumerate(rows, start=1)}
    lists = UtteranceLists(by_id)
    return Lists(lists.of, rejected=lists.rejected)


def _list_column(path: str) -> str | None:
    if not path.endswith(".parquet") or not is_per_utterance(path):
        return None
    with open_parquet(path) as file:
        return "list" if set(LIST_COLUMNS) <= set(file.schema_arrow.names) else None


def _is21_spoken(path: str, alphabet: Alphabet) -> dict[str, frozenset[str]] | None:
    """The rare words that each utterance contains, if ``path`` is a TSV of the is21_deep_bias benchmark."""
    if not path.endswith(".tsv"):
        return None
    spoken = {}
    with open_text(path) as file:
        for row, line in enumerate(file, start=1):
            cells = line.rstrip("\r\n").split("\t")
            if len(cells) != _IS21_FIELDS or not cells[2].startswith("["):
                return None
            words = _words(path, row, cells[2])
            spoken[cells[0]] = frozenset(normalise(word, alphabet) for word in words)
    return spoken


def _words(path: str, row: int, field: str) -> Sequence[str]:
    try:
        words = json.loads(field)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {row}: the rare words are not JSON ({error}).") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: line {row}: the rare words must be a JSON list of texts, got {field[:100]}.")
    return words


def is_parquet(path: str) -> bool:
    """Whether ``path`` is parquet, one file or a folder; if not, it is read by pipeline.scoring.text_inputs."""
    return not is_text(path)


def parquet_rows(path: str, required: Sequence[str], optional: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of one or many parquet files, only the named columns; missing optional ones are left out."""
    rows: list[dict[str, Any]] = []
    for location in storage.list_parquet(path):
        try:
            with location.filesystem.open(location.path, "rb") as stream:
                file = pq.ParquetFile(stream)
                _check_columns(location.uri, file.schema_arrow, required)
                names = [name for name in (*required, *optional) if name in file.schema_arrow.names]
                rows += _with_ids(location.uri, file.read(columns=names).to_pylist())
        except pa.ArrowInvalid as error:
            raise InputError(f"{location.uri}: cannot be read as parquet ({error}).") from error
    return rows


def _with_ids(source: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    nameless = next((at for at, row in enumerate(rows, start=1) if not row["utterance_id"]), None)
    if nameless is not None:
        raise InputError(f"{source}: row {nameless} has no utterance_id; every row needs one.")
    return rows


def _check_columns(source: str, schema: pa.Schema, required: Sequence[str]) -> None:
    for name in required:
        if name not in schema.names:
            raise InputError(
                f"{source}: column '{name}' is missing; it has {schema.names}. Needed are {list(required)}."
            )
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f"{source}: column '{name}' is {kind}, needed is string.")
