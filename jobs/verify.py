"""Check a finished run against its manifest: every file whole, every row there once.

    python -m jobs.verify out/6bd1f2a0c3e4d5f6
    python -m jobs.verify s3://bucket/out/6bd1f2a0c3e4d5f6 --json > report.json

Reads every byte of the run: sizes, SHA-256 and rows of each file against ``_SUCCESS``, the rows against run.json, and
utterance ids for duplicates. A private release (a folder with privacy.json) is held against its ledger too: every row
charged, with its words, and none twice. Exit code 0 if all holds, 1 if something does not, 2 if there is no manifest.
"""

import argparse
from collections.abc import Iterator

from rich.console import Console

from jobs.cli.command import FAILED, OK, Result, add_storage_options, job_parser, leave, run_command
from jobs.run.private_export import read_record
from pipeline import storage
from pipeline.export import private
from pipeline.privacy import check
from pipeline.privacy.check import RECORD
from pipeline.runs.folder import RunFolder
from pipeline.runs.manifest import file_problems, problems, summary
from pipeline.storage import Location
from pipeline.storage.s3_options import parse_options

_SHOWN = 20  # problems printed; --json has all


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("verify", __doc__)
    parser.add_argument("run", metavar="RUN", help="folder of the run, O/<fingerprint>; s3:// too")
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; see the module's text for exit codes."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _verify(arguments), arguments.json)


def _verify(arguments: argparse.Namespace) -> Result:
    folder = RunFolder(storage.open_filesystem(arguments.run, parse_options(arguments.storage_options)))
    is_release = storage.exists(folder.root.join(RECORD))
    found = list(_release_problems(folder)) if is_release else problems(folder)
    facts = {"run": folder.root.uri, **summary(folder), "problems": found}
    if is_release:
        facts["rows"] = read_record(folder.root)["rows"]
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for problem in found[:_SHOWN]:
        console.print(problem)
    if found:
        console.print(f"{folder.root.uri}: {len(found)} problem(s)")
        return Result(facts, FAILED)
    console.print(f"{folder.root.uri}: {facts['rows']:,} rows in {facts['files']:,} files, all as written")
    return Result(facts, OK)


def _release_problems(folder: RunFolder) -> Iterator[str]:
    broken = file_problems(folder)
    if broken:
        yield from broken
        return
    rows = (row for file in _parts(folder.root) for row in private.read(file))
    yield from check.problems(folder.root.parent, read_record(folder.root), rows)


def _parts(root: Location) -> list[Location]:
    paths = [path for _, files in storage.walk_files(root) for path, _ in files]
    return [Location(root.filesystem, path) for path in paths if path.rpartition("/")[2].startswith("part-")]


if __name__ == "__main__":
    leave(main())
