"""The suggestions as a page that needs no network: a table, and under each row where it was heard, with the sound."""

from collections.abc import Mapping, Sequence

from pipeline.audio.clips import as_ogg
from pipeline.audio.decode import SAMPLE_RATE, decode_audio
from pipeline.errors import RowError
from pipeline.markup.document import document, fact_list, section
from pipeline.markup.html import Html, join, tag
from pipeline.markup.tables import Cell, Row, table
from pipeline.report.sound import Sounds
from pipeline.runs.columns import rows_of
from pipeline.storage import Location
from pipeline.suggest.doubtful import Span
from pipeline.suggest.files import place
from pipeline.suggest.suggestions import ENTITY, LISTED, PRONUNCIATION, Suggestion

SHOWN = 3
"""Occurrences of a suggestion that can be heard: of 200, 200 clips make some 4 MB."""
_AROUND = 0.5  # seconds of a snippet before and after
_KINDS = {ENTITY: "not on the list", PRONUNCIATION: "on the list, said otherwise", LISTED: "on the list, not written"}
_HOW = (
    "A row is a sound that comes in several utterances, and of which the run doubts what it wrote there: a word that "
    "is unknown to the language model, one it is unsure of, one that fits the sound badly, or a rare one.",
    "Rows are in the order of the evidence: in how many utterances it comes, and how much rarer what is written there "
    "would be in the language.",
    "On the list, said otherwise: it sounds nearly like an entity of the list that was not written there. list.csv "
    "gives that entity the pronunciation.",
    "list.csv is an entity list. Look through it before it is used: what recurs need not be a name.",
)


def build_page(suggestions: Sequence[Suggestion], clips: Mapping[str, bytes], facts: Mapping[str, str]) -> str:
    """Return the whole HTML document; ``clips``: Ogg files by place. All text of the data is escaped."""
    sounds = Sounds(clips)
    rows = [_row(one, sounds) for one in suggestions]
    headers = ["Suggestion", "What", "Heard as", "Utterances", "Score", "Doubts"]
    shown = table("suggestions", "Open a row to see and hear where it comes", headers, rows) if rows else None
    nothing = None if rows else tag("p", "No sound that the run doubts comes in several utterances.")
    header = tag("header", tag("h1", "What the list lacks"), fact_list(facts))
    return document(
        "What the list lacks",
        header,
        join([section("found", "Suggestions", shown, nothing), sounds.embedded()]),
        _HOW,
    )


def _row(one: Suggestion, sounds: Sounds) -> Row:
    heard = one.heard
    what = _KINDS[one.kind] + (f": {one.entity.display_as}" if one.entity is not None else "")
    doubts = ", ".join(f"{count} {reason}" for reason, count in heard.reasons.items())
    others = tag("p", "Or: ", ", ".join(one.spellings[1:])) if one.entity is None and one.spellings[1:] else None
    detail = join([others, tag("ul", [_occurrence(span, sounds) for span in heard.spans[:SHOWN]])])
    cells = [
        Cell(one.name),
        Cell(what),
        Cell(" ".join(heard.phones)),
        Cell(str(heard.utterances), heard.utterances, number=True),
        Cell(f"{heard.score:.1f}", round(heard.score, 1), number=True),
        Cell(doubts),
    ]
    return Row(cells, detail)


def _occurrence(span: Span, sounds: Sounds) -> Html:
    before, after = span.context
    text = tag("p", before, " ", tag("mark", span.text), " ", after, " ", tag("small", place(span)))
    return tag("li", text, sounds.player(place(span)))


def snippets(suggestions: Sequence[Suggestion], audio: Sequence[Location], most: int) -> dict[str, bytes]:
    """Return Ogg clips of the occurrences that the page shows, by place: the first of each, then the second ...

    audio: AUDIO files with sound; what cannot be decoded, or is not there, has no clip
    most:  clips
    """
    ordered = [one.heard.spans[at] for at in range(SHOWN) for one in suggestions if at < len(one.heard.spans)][:most]
    spans: dict[str, list[Span]] = {}
    for span in ordered:
        spans.setdefault(span.utterance_id, []).append(span)
    clips: dict[str, bytes] = {}
    for row in rows_of(audio, spans, ("audio",)):
        clips |= _cut((row["audio"] or {}).get("bytes"), spans[row["utterance_id"]])
    return clips


def _cut(data: bytes | None, spans: Sequence[Span]) -> dict[str, bytes]:
    try:
        samples = decode_audio(data or b"", spans[0].utterance_id).samples
    except RowError:
        return {}
    clips: dict[str, bytes] = {}
    for span in spans:
        start = max(0, int((span.start_seconds - _AROUND) * SAMPLE_RATE))
        clips[place(span)] = as_ogg(samples[start : int((span.end_seconds + _AROUND) * SAMPLE_RATE)])
    return clips
