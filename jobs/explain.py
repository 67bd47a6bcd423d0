"""Show what became of an entity list in one utterance: what each step kept, and why a name fell out.

    python -m jobs.explain --audio corpus.parquet --utterance ID --entities names.txt --output page.html

Prints and writes to one HTML file how far each name of the shortlist came, each name that the audio's ``text`` has, and
those of ``--names``; the page also draws where the contextual adapter looks. The configuration is that of ``joint``.
``--attention FILE`` adds a line for the report's plots (`python -m jobs.score --attention FILE`).
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from jobs.cli.command import Result, add_calibration, add_entities_format, job_parser, leave, run_command
from jobs.run.catalogs import catalogued
from jobs.run.preflight import OWN_LISTS
from pipeline import config as configuration
from pipeline.acoustic.adapter_files import resolved
from pipeline.acoustic.calibration_files import configured
from pipeline.acoustic.loading import load_tokens
from pipeline.config import RunConfig
from pipeline.entities.lists import load_entities
from pipeline.entities.unmatched import find_unmatched
from pipeline.errors import InputError
from pipeline.recognition.trace import Trace
from pipeline.report import attention_page
from pipeline.report.explain import attention_line, explained, find_row
from pipeline.storage import open_filesystem

_SHOWN = 20  # names that are printed; the page has more


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
    parser.add_argument("--names", nargs="+", default=[], metavar="NAME", help="say in any case what became of these")
    parser.add_argument("--model", help="base model directory (default: the shipped one)")
    parser.add_argument("--adapter", help="adapter directory (default: the one beside the base)")
    add_calibration(parser)
    parser.add_argument("--whole-list", action="store_true", help="all entities, not only the shortlist")
    return parser


def read_config(options: argparse.Namespace) -> RunConfig:
    """Return the joint preset with the options put over it."""
    values: dict[str, Any] = {"adapter": {"model": options.adapter}} if options.adapter else {}
    if options.whole_list:
        values |= {"shortlist": None, "cut": None}
    acoustic = {name: value for name in ("model", "calibration") if (value := getattr(options, name))}
    return resolved(configuration.override(configured(configuration.joint(), acoustic=acoustic), values))


def explain(options: argparse.Namespace) -> Result:
    """Encode and transcribe the utterance, step by step, and write the page."""
    config = read_config(options)
    row = find_row(options.audio, options.utterance)
    column = options.entities_column or (OWN_LISTS if options.entities is None else None)
    if options.entities_column and options.entities_column not in row:
        raise InputError(f"{options.audio}: has no column '{options.entities_column}'; it has {sorted(row)}.")
    source = load_entities(
        options.entities or None, alphabet=load_tokens(config.acoustic).alphabet, form=options.entities_format
    )
    source = catalogued(source, open_filesystem(str(options.output)).parent, config)
    if source.lists is not None and options.utterance not in source.lists.by_id:
        found = find_unmatched(list(source.lists.by_id), lambda ids: [one == options.utterance for one in ids])
        meant = f"; '{found.meant[0][0]}' may be meant" if found.meant else ""
        raise InputError(f"{options.entities}: has no list for the utterance '{options.utterance}'{meant}.")
    entities = source.of(options.utterance, row.get(column) if column else None)
    one = explained(config, row, entities, options.names)
    options.output.write_text(attention_page.render(one), encoding="utf-8")
    if options.attention:
        with options.attention.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(attention_line(one), ensure_ascii=False) + "\n")
    _show(one.trace)
    print(f"{options.output}: {len(one.entities)} of {one.listed} entities, {one.shares.shape[1]} frames")
    fates = [dataclasses.asdict(fate) for fate in one.trace.fates]
    return Result(
        {"output": str(options.output), "entities": len(one.entities), "listed": one.listed,
         "steps": dict(one.trace.steps), "names": fates}
    )  # fmt: skip


def _show(trace: Trace) -> None:
    """Print how many entities each step kept, and the first names."""
    print(f"without the list: {trace.unbiased}\nwith it: {trace.text}")
    print(", ".join(f"{count:,} {step}" for step, count in trace.steps.items()))
    for fate in trace.fates[:_SHOWN]:
        print(f"{fate.name}: {fate.kept + ': ' if fate.kept else ''}{fate.why}")


def main(argv: list[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return run_command(lambda: explain(options), options.json)


if __name__ == "__main__":
    leave(main())
