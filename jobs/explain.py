"""Show where the contextual adapter looks in one utterance.

    python -m jobs.explain --audio corpus.parquet --utterance ID --entities names.txt --output page.html

Writes one HTML file: the entities of the utterance's shortlist against time, with the decoded words and ``<no-bias>``.
``--attention FILE`` adds a line for the report's plots (`python -m jobs.score --attention FILE`).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jobs.cli.command import Result, add_entities_format, job_parser, run_command
from jobs.run.preflight import OWN_LISTS
from pipeline import config as configuration
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig
from pipeline.entities.lists import load_entities
from pipeline.entities.unmatched import find_unmatched
from pipeline.errors import InputError
from pipeline.report import attention_page
from pipeline.report.explain import attention_line, explained, find_row


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = job_parser("explain", __doc__)
    parser.add_argument("--audio", required=True, help="AUDIO parquet: a file, folder or glob")
    parser.add_argument("--utterance", required=True, metavar="ID")
    parser.add_argument("--entities", help="entity list or per-utterance lists; default: the audio's own list")
    parser.add_argument("--entities-column", metavar="NAME", help="column of the audio with the utterance's own list")
    add_entities_format(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="HTML")
    parser.add_argument("--attention", type=Path, metavar="JSONL", help="append what was attended to to this file")
    parser.add_argument("--model", help="base model directory (default: the shipped one)")
    parser.add_argument("--adapter", help="adapter directory (default: the one beside the base)")
    parser.add_argument("--whole-list", action="store_true", help="all entities, not only the shortlist")
    return parser


def read_config(options: argparse.Namespace) -> RunConfig:
    """Return the adapter preset with the options put over it."""
    config = configuration.PRESETS["adapter"]()
    values: dict[str, Any] = {"adapter": {"model": options.adapter}} if options.adapter else {}
    if options.model:
        values["acoustic"] = {"model": options.model}
    if options.whole_list:
        values["shortlist"] = None
    return resolved(configuration.override(config, values))


def explain(options: argparse.Namespace) -> Result:
    """Encode the utterance, let the adapter look, write the page."""
    config = read_config(options)
    row = find_row(options.audio, options.utterance)
    column = options.entities_column or (OWN_LISTS if options.entities is None else None)
    if options.entities_column and options.entities_column not in row:
        raise InputError(f"{options.audio}: has no column '{options.entities_column}'; it has {sorted(row)}.")
    source = load_entities(
        options.entities or None, alphabet=load_tokens(config.acoustic).alphabet, form=options.entities_format
    )
    if source.lists is not None and options.utterance not in source.lists.by_id:
        found = find_unmatched(list(source.lists.by_id), lambda ids: [one == options.utterance for one in ids])
        meant = f"; '{found.meant[0][0]}' may be meant" if found.meant else ""
        raise InputError(f"{options.entities}: has no list for the utterance '{options.utterance}'{meant}.")
    entities = source.of(options.utterance, row.get(column) if column else None)
    one = explained(config, row, entities)
    options.output.write_text(attention_page.render(one), encoding="utf-8")
    if options.attention:
        with options.attention.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(attention_line(one), ensure_ascii=False) + "\n")
    print(f"{options.output}: {len(one.entities)} of {one.listed} entities, {one.shares.shape[1]} frames")
    return Result({"output": str(options.output), "entities": len(one.entities), "listed": one.listed})


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: explain(options), options.json)


if __name__ == "__main__":
    raise SystemExit(main())
