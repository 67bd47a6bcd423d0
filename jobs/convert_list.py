"""Turn an entity list of another tool into a table of ours, to look at and to keep.

    python -m jobs.convert_list hotwords.txt --from sherpa --output names.csv
    python -m jobs.convert_list adaptation.json --from google --output names.tsv
    python -m jobs.convert_list vocabulary.txt --from aws --output s3://bucket/names.jsonl

OUTPUT is CSV, TSV or JSONL, as its name says, with entity, aliases, pronunciations, weight and tags. What cannot be
taken over is named, with its line. Every command that takes a list reads these formats itself (--entities-format).
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, run_command
from pipeline import storage
from pipeline.entities.formats import FORMATS
from pipeline.entities.lists import is_per_utterance
from pipeline.entities.loading import COLUMNS, SEPARATOR, file_format, read_rows
from pipeline.entities.text_rows import REFUSED
from pipeline.errors import ConfigError, InputError
from pipeline.storage.s3_options import parse_options

_SUFFIXES = (".csv", ".tsv", ".jsonl")
Fields = Mapping[str, Any]


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("convert_list", __doc__)
    parser.add_argument("list", metavar="LIST", help="list of another tool; local or s3://")
    parser.add_argument(
        "--from",
        dest="form",
        metavar="F",
        choices=FORMATS,
        help="its format, where the name does not tell it: " + ", ".join(FORMATS),
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="table to write: .csv, .tsv or .jsonl")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, 1 if no entry could be taken over, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    suffix = file_format(arguments.output)
    if suffix not in _SUFFIXES or arguments.output.lower().endswith(".gz"):
        raise ConfigError(f"--output {arguments.output}: must end in one of {list(_SUFFIXES)}.")
    if is_per_utterance(arguments.list, options, arguments.form):
        raise InputError(f"{arguments.list}: has a list per utterance; what is converted is one list.")
    kept: list[Fields] = []
    refused: list[dict[str, Any]] = []
    for row, fields in read_rows(arguments.list, options, arguments.form):
        if REFUSED in fields:
            refused.append({"row": row, "entry": str(fields["entity"]), "reason": fields[REFUSED]})
        elif str(fields.get("entity") or "").strip():
            kept.append(fields)
    target = storage.open_filesystem(arguments.output, options)
    storage.write_atomic(target, _WRITERS[suffix](kept).encode())
    for one in refused:
        print(f"line {one['row']}: '{one['entry'].strip()}' {one['reason']}", file=sys.stderr)
    print(f"{target.uri}: {len(kept)} entries, {len(refused)} lines left out")
    return Result({"output": target.uri, "entries": len(kept), "refused": refused}, OK if kept else FAILED)


def _cells(fields: Fields) -> list[str]:
    return [_cell(fields.get(name)) for name in COLUMNS]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return SEPARATOR.join(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).strip()


def _as_csv(rows: list[Fields]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(_cells, rows)])
    return text.getvalue()


def _as_tsv(rows: list[Fields]) -> str:
    """A field that begins with a quote is put into quotes, as they would be taken off it."""
    lines = [list(COLUMNS), *map(_cells, rows)]
    if any("\t" in cell for cells in lines for cell in cells):
        raise InputError("an entry has a tab, which a .tsv cannot hold; write a .csv.")
    return "".join("\t".join(map(_quoted, cells)) + "\n" for cells in lines)


def _quoted(cell: str) -> str:
    inner = cell.replace('"', '""')
    return f'"{inner}"' if cell.startswith('"') else cell


def _as_jsonl(rows: list[Fields]) -> str:
    entries = ({name: fields[name] for name in COLUMNS if fields.get(name) not in (None, "", [])} for fields in rows)
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


_WRITERS = {".csv": _as_csv, ".tsv": _as_tsv, ".jsonl": _as_jsonl}


if __name__ == "__main__":
    sys.exit(main())
