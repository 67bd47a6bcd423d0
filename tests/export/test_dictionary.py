"""The data dictionary is made from the schemas, and the committed copy is the current one."""

from pathlib import Path

from jobs.export import main
from pipeline import schemas
from pipeline.export.dictionary import data_dictionary

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "data_dictionary.md"


def test_the_committed_copy_is_current(tmp_path: Path) -> None:
    assert main(["--data-dictionary", str(tmp_path / "made.md")]) == 0
    assert (tmp_path / "made.md").read_text() == COMMITTED.read_text(), (
        "run `python -m jobs.export --data-dictionary docs/data_dictionary.md`"
    )


def test_every_column_stands_in_it_with_unit_and_meaning() -> None:
    text = data_dictionary()
    assert "| `words[].start_seconds` | float | s | first frame of the word |" in text
    assert "| `error` | string, null |  | why this row could not be processed; null if it was |" in text
    for schema in (schemas.AUDIO, schemas.EMISSIONS, schemas.TRANSCRIPTS, schemas.SCORES):
        assert all(f"| `{name}` |" in text for name in schema.names)
