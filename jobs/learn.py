"""Learn from reviews what the next runs should know: names by how they were heard, a policy, and what to believe.

    python -m jobs.learn --reviews reviews --run out/1f3a... --output learnt
    python -m jobs.transcribe --audio corpus --entities names.csv --memory learnt/memory-5e1c....parquet --output out

REVIEWS is what review-import wrote. RUN, which need not be the one that was reviewed, has the same audio and its first
pass cached (--cache-emissions): what reviewers said is laid over what was heard there. Writes
LEARNT/memory-<version>.parquet, a row for each tenant, entity and phone string, and LEARNT/policy-<version>.json, how
wide each strategy of the shortlist should look in an utterance, with report.html, which says what that is worth
against the policy before; LEARNT/calibration-<version>/, the guard and the cut of large lists refitted to what was
accepted and rejected; and learn.json. A version is a hash of what a run reads of it, which never changes: the same
reviews give the same one, later ones another. Nothing uses them unless they are given to `transcribe` or `reprocess`
with --memory, --policy and --calibration.
"""

import argparse
import dataclasses
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs.cli.command import OK, Result, add_storage_options, job_parser, run_command
from jobs.run.learn_policy import Learner, add_policy_options, check_policy_options, show_policy
from jobs.run.learn_ranking import RankingLearner, show_ranking
from pipeline import storage
from pipeline.config import G2gConfig
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.errors import InputError
from pipeline.learning.memory import Predictor, Row, memory_rows, purged
from pipeline.learning.observed import Observed, observe
from pipeline.lexicon.confusions import read_table
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.retrieval.remembered import file_name, snapshot_bytes, version_of
from pipeline.review.folder import read_reviews
from pipeline.review.folder import version_of as version_of_reviews
from pipeline.runs.cache import cached_files
from pipeline.runs.folder import RunFolder
from pipeline.runs.letters import alphabet_of_record
from pipeline.runs.reader import Run
from pipeline.storage import Location
from pipeline.storage.s3_options import parse_options
from pipeline.text import Alphabet

_RECORD = "learn.json"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = job_parser("learn", __doc__)
    parser.add_argument("--reviews", metavar="REVIEWS", required=True, help="what review-import wrote; local or s3://")
    parser.add_argument("--run", metavar="RUN", required=True, help="a run of the same audio, its first pass cached")
    parser.add_argument("--output", metavar="LEARNT", required=True, help="folder to write to; local or s3://")
    add_policy_options(parser)
    add_storage_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; exit code 0, or 2 for bad input."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), arguments.json)


def _run(arguments: argparse.Namespace) -> Result:
    options = parse_options(arguments.storage_options)
    check_policy_options(arguments)
    run = Run(arguments.run, options)
    alphabet = alphabet_of_record(run.record)
    files = read_reviews(arguments.reviews, alphabet, options)
    cached = cached_files(run.record, options)
    folder = run.folder
    if not cached or folder is None:
        raise InputError(f"{run.uri}: has no cached first pass, which says what was heard; run jobs.transcribe on its "
                         "audio with --cache-emissions.")  # fmt: skip
    output = storage.open_filesystem(arguments.output, options)
    storage.check_writable(output)
    pronouncer = Pronouncer()
    observed = observe(run, cached, files, alphabet, pronouncer)
    facts: dict[str, Any] = {"run": run.uri, "reviews": version_of_reviews(files), "output": output.uri}
    facts |= _learn_memory(observed, _listed(folder, run.record, alphabet), pronouncer, output)
    learner = Learner(run, folder, cached, pronouncer, alphabet, options)
    facts |= {"policy": learner.learn(files, output, arguments)}
    facts |= {"ranking": RankingLearner(run, folder, cached, alphabet).learn(files, output)}
    storage.write_json(output.join(_RECORD), facts)
    _show(facts)
    return Result(facts, OK)


def _learn_memory(
    observed: Observed, listed: Container[str] | None, pronouncer: Pronouncer, output: Location
) -> dict[str, Any]:
    """Write the snapshot and return what stands in it; ``listed``: names that are in use, None if nobody knows."""
    confusions = G2gConfig().confusions
    table = {} if confusions is None else read_table(Path(confusions))
    found = memory_rows(observed.observations, Predictor(table, pronouncer), observed.wholes)
    rows = found if listed is None else purged(found, listed)
    version = version_of(rows)
    file = output.join(file_name(version))
    if not storage.exists(file):
        storage.write_atomic(file, snapshot_bytes(rows))
    counts = {field.name: getattr(observed, field.name) for field in dataclasses.fields(Observed)}
    counts |= {"observations": len(observed.observations), "wholes": len(observed.wholes)}
    facts = {"file": file.uri, "version": version, **counts, **_counted(rows), "purged": _names(found) - _names(rows)}
    return {"memory": facts}


def _counted(rows: list[Row]) -> dict[str, int]:
    seen = [row for row in rows if row["accepted"] or row["rejected"]]
    return {
        "tenants": len({row["tenant"] for row in rows}),
        "names": _names(rows),
        "forms": len(seen),
        "predicted_forms": len(rows) - len(seen),
    }


def _names(rows: list[Row]) -> int:
    return len({(row["tenant"], row["entity"]) for row in rows})


def _listed(folder: RunFolder, record: dict[str, Any], alphabet: Alphabet) -> Container[str] | None:
    """Return the names, aliases too, of the run's lists; None where lists stand in its rows or it has no copy."""
    if record.get("list_column") is not None or not storage.exists(folder.lists):
        return None
    source: EntitySource = snapshot.load(folder.lists, alphabet)
    if source.lists is None:
        return source.corpus.by_text
    return {name for entities in source.lists.by_id.values() for name in entities.by_text}


def _show(facts: dict[str, Any]) -> None:
    console, memory = Console(highlight=False, soft_wrap=True, markup=False), facts["memory"]
    unused = {
        "of audio that the run has not": memory["other"],
        "without a first pass": memory["unheard"],
        "where the run has no words or hardly any sound": memory["unfit"],
    }
    console.print(f"{memory['judged']:,} reviews count; {memory['observations']:,} times a name was or was not said")
    for why, count in unused.items():
        if count:
            console.print(f"  {count:,} {why}")
    if memory["purged"]:
        console.print(f"  {memory['purged']:,} names are no longer on the run's lists and are left out")
    console.print(f"memory: {memory['names']:,} names in {memory['forms']:,} forms that were heard and "
                  f"{memory['predicted_forms']:,} that are predicted, of {memory['tenants']:,} tenants")  # fmt: skip
    console.print(f"written: {memory['file']}")
    for line in (*show_policy(facts["policy"]), *show_ranking(facts["ranking"])):
        console.print(line)


if __name__ == "__main__":
    sys.exit(main())
