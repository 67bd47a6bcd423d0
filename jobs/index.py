"""Build a catalog of an entity list of any size, once for all runs.

    python -m jobs.index directory.txt --output catalog
    python -m jobs.index s3://bucket/patients.parquet --output s3://bucket/patients
    python -m jobs.transcribe --audio corpus --entities catalog --output out

A catalog is a folder of files that workers map into memory. It goes wherever a list goes, and a run with it is the run
with the list. Called again after the list has changed, only what is new in it is pronounced; broken off, the same
command goes on. Lists of more than some thousand entities become catalogs by themselves, below the run's output.
"""

import argparse
import shutil
import time
from pathlib import Path

from jobs.cli.command import (
    Result,
    add_entities_format,
    add_language,
    add_storage_options,
    job_parser,
    leave,
    run_command,
)
from jobs.run.catalogs import build
from pipeline import storage
from pipeline.acoustic.loading import load_tokens
from pipeline.config import AcousticConfig
from pipeline.entities.catalog import Catalog, cache_folder, save_catalog
from pipeline.entities.lists import load_entities
from pipeline.errors import InputError
from pipeline.storage.s3_options import parse_options


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("index", __doc__)
    parser.add_argument(
        "list", metavar="LIST", help="entity list, as --entities of transcribe takes it; local or s3://"
    )
    parser.add_argument("--output", metavar="CATALOG", required=True, help="folder of the catalog; s3:// too")
    parser.add_argument("--model", metavar="DIR", default=AcousticConfig().model, help="whose subwords spell the names")
    add_language(parser)
    add_entities_format(parser)
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 if the list cannot be read or the catalog not be written."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    began, options = time.monotonic(), parse_options(arguments.storage_options)
    tokens = load_tokens(AcousticConfig(model=arguments.model, language=arguments.language))
    source = load_entities(arguments.list, None, options, tokens.alphabet, arguments.entities_format)
    if source.lists is not None:
        raise InputError(f"{arguments.list}: holds lists per utterance; a catalog is one list.")
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    folder = Path(output.path) if output.is_local else cache_folder() / source.corpus.version
    catalog = build(source.corpus, folder, folder if output.is_local else cache_folder(), tokens)
    if output.is_local:
        _remove_others(catalog)
    else:
        save_catalog(catalog, output)
    counts, seconds = _counts(catalog), round(time.monotonic() - began, 1)
    print(f"{counts['entities']:,} entities, {counts['bytes'] / 1e6:,.0f} MB, {seconds:g} s: {output.uri}")
    return Result({**counts, "version": catalog.version, "catalog": output.uri, "wall_seconds": seconds})


def _remove_others(catalog: Catalog) -> None:
    """Remove the parts of earlier versions of the list; whoever has them mapped keeps them until it ends."""
    for kind in ("names", "sound", "spelling"):
        for part in catalog.folder.glob(f"{kind}-*"):
            if part not in catalog.parts:
                shutil.rmtree(part)


def _counts(catalog: Catalog) -> dict[str, int]:
    files = [path for part in catalog.parts for path in part.iterdir()]
    return {
        "entities": len(catalog),
        "rejected": len(catalog.rejected),
        "merged": len(catalog.merged),
        "bytes": sum(path.stat().st_size for path in files),
    }


if __name__ == "__main__":
    leave(main())
