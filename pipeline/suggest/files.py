"""What `suggest` writes for machines: a table of all suggestions, and an entity list of those that add something."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.entities.loading import SEPARATOR
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.suggest.doubtful import REASONS, Span
from pipeline.suggest.suggestions import ENTITY, LISTED, Suggestion, pronunciations

TABLE = (
    "rank", "kind", "entity", "spellings", "heard", "listed", "utterances", "occurrences", "score", *REASONS, "where",
    "context",
)  # fmt: skip
LIST = ("entity", "aliases", "pronunciations", "weight", "tags", "utterances")
TAG = "suggested"
"""Of entities that the list lacks."""
_PLACES = 10  # occurrences that a row of the table names


def table(suggestions: Sequence[Suggestion]) -> bytes:
    """Return all suggestions as CSV, a row each."""
    return _csv(TABLE, (_row(rank, one) for rank, one in enumerate(suggestions, start=1)))


def _row(rank: int, one: Suggestion) -> list[Any]:
    heard, first = one.heard, one.heard.spans[0]
    return [
        rank,
        one.kind,
        one.name,
        SEPARATOR.join(one.spellings),
        " ".join(heard.phones),
        "" if one.entity is None else one.entity.display_as,
        heard.utterances,
        len(heard.spans),
        round(heard.score, 1),
        *(heard.reasons.get(reason, 0) for reason in REASONS),
        SEPARATOR.join(place(span) for span in heard.spans[:_PLACES]),
        f"{first.context[0]} [{first.text}] {first.context[1]}".strip(),
    ]


def place(span: Span) -> str:
    """Return where a span is: its utterance and seconds of it."""
    return f"{span.utterance_id} {span.start_seconds:.2f}-{span.end_seconds:.2f}"


def entity_list(suggestions: Iterable[Suggestion], pronouncer: Pronouncer) -> bytes:
    """Return an entity list as CSV: entities that are missing, and listed ones with the pronunciation that is."""
    return _csv(LIST, (_entry(one, pronouncer) for one in suggestions if one.kind != LISTED))


def _entry(one: Suggestion, pronouncer: Pronouncer) -> list[Any]:
    said = SEPARATOR.join(" ".join(phones) for phones in pronunciations(one, pronouncer))
    if one.kind == ENTITY or one.entity is None:
        return [one.name, "", said, 1, TAG, one.heard.utterances]
    entity = one.entity
    aliases, tags = SEPARATOR.join(entity.aliases), SEPARATOR.join(entity.tags)
    return [entity.display_as, aliases, said, f"{entity.weight:g}", tags, one.heard.utterances]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue().encode()
