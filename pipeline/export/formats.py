"""Every export format: what it is, its schema, and how rows or tracks become its text."""

import dataclasses
from collections.abc import Callable

from pipeline.export import nist, subtitles, tables
from pipeline.export.speech import Track
from pipeline.export.textgrid import textgrid
from pipeline.runs.reader import Batch


@dataclasses.dataclass(frozen=True)
class Format:
    """One format; exactly one of ``arrow``, ``lines``, ``track_lines`` and ``track_file`` is set.

    arrow:       parquet of this schema
    lines:       rows to lines
    track_lines: a recording to lines; utterances that were not cut from a recording share files
    track_file:  a recording, or an utterance that was not cut from one, to a file of its own
    by_recording: the lines of a recording have a file of their own
    head:        first line of every file of lines
    reviewed:    its schema where reviews were laid over the rows; None if it has no place for what they changed
    keeps_errors: whether a row with an error has a place in it; if not, it is set aside
    """

    schema: str
    suffix: str
    about: str
    arrow: bool = False
    lines: Callable[[Batch], list[str]] | None = None
    track_lines: Callable[[Track], list[str]] | None = None
    track_file: Callable[[Track], str] | None = None
    head: Callable[[], str] = str
    folder: str = ""
    by_recording: bool = False
    keeps_errors: bool = True
    reviewed: str | None = None

    @property
    def is_timed(self) -> bool:
        return self.track_lines is not None or self.track_file is not None


_RICH = "rollcall.reviewed-transcripts"
FORMATS: dict[str, Format] = {
    "parquet": Format(
        "rollcall.transcripts", ".parquet", "every column; for DuckDB, pandas, polars", True, reviewed=_RICH
    ),
    "hf": Format(
        "rollcall.transcripts",
        ".parquet",
        "a folder for Hugging Face datasets",
        True,
        folder="data",
        reviewed=_RICH,
    ),
    "jsonl": Format(
        "rollcall.transcripts",
        ".jsonl",
        "every column, an object per line",
        lines=tables.json_lines,
        reviewed=_RICH,
    ),
    "csv": Format(
        "rollcall.flat", ".csv", "the main columns, for spreadsheets", lines=tables.csv_lines, head=tables.csv_head
    ),
    "nemo-manifest": Format(
        "rollcall.nemo-manifest",
        ".jsonl",
        "for NeMo",
        lines=tables.manifest_lines,
        by_recording=True,
        keeps_errors=False,
    ),
    "ctm": Format(
        "rollcall.ctm", ".ctm", "words with times", track_lines=nist.ctm_lines, head=nist.ctm_head, keeps_errors=False
    ),
    "stm": Format("rollcall.stm", ".stm", "utterances with times", track_lines=nist.stm_lines, head=nist.stm_head),
    "srt": Format("rollcall.subtitles", ".srt", "subtitles", track_file=subtitles.srt, keeps_errors=False),
    "vtt": Format("rollcall.subtitles", ".vtt", "subtitles for the web", track_file=subtitles.vtt, keeps_errors=False),
    "textgrid": Format("rollcall.textgrid", ".TextGrid", "tiers for Praat", track_file=textgrid),
}
"""What ``--format`` takes."""
