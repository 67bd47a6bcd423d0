"""What one more entity costs: utterances transcribed again, time against a full run, and whether the rows are the same.

    python -m benchmarks.reprocess --emissions out/emissions/1f3a.../emissions --lists test-clean-dev.biasing_100.tsv \\
        --words all_rare_words.txt --audio librispeech_test_clean_dev.parquet [--json FILE]

The list of the finished run is every rare word that somebody says (column 3 of the lists file); the entity that comes
on top is one of ``--samples`` words drawn from ``--words`` with a fixed seed. How many utterances each touches is
counted for all of them; the first ``--timed`` are reprocessed as the command does it, loading of models and lists
included, and compared row by row with a full run. Times are of the processor, so that neighbours on the machine do not
count; the full run's is decoding and, from ``--encoded`` utterances of the audio, encoding.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.table import show
from jobs.run.reprocess_run import OldRun, open_run, plan_new, reprocess
from pipeline.acoustic.adapter_files import resolved
from pipeline.config import PRESETS
from pipeline.entities.lists import EntitySource, SharedEntities
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import read_emissions
from pipeline.reprocess.touched import Touching
from pipeline.retrieval.shortlist import Shortlister
from pipeline.schemas import ADAPTER_INPUT, EMISSIONS
from pipeline.storage import list_parquet, open_filesystem
from pipeline.types.entity import EntityList
from tests.support.finished_runs import Bench, rows_of

SEED = 20
_RARE = 2  # column of the lists file that has what is said, as JSON


def main(argv: list[str] | None = None) -> int:
    """Measure and print; exit code 0, 1 if a new version differs from its full run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emissions", required=True, help="EMISSIONS parquet: a file, folder or glob")
    parser.add_argument("--lists", type=Path, required=True, help="is21_deep_bias TSV")
    parser.add_argument("--words", type=Path, required=True, help="one rare word per line")
    parser.add_argument("--audio", help="AUDIO parquet, to time encoding")
    parser.add_argument("--encoded", type=int, default=40, help="utterances of it that are encoded")
    parser.add_argument("--preset", default="joint", choices=sorted(PRESETS))
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--timed", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    emissions = pa.concat_tables([_read(file.path) for file in list_parquet(arguments.emissions)])
    spoken = _spoken(arguments.lists)
    words = [word for word in arguments.words.read_text(encoding="utf-8").split() if word not in spoken]
    added = random.Random(SEED).sample(sorted(set(words)), arguments.samples)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for row in _measure(arguments, emissions, sorted(spoken), added, folder):
            print(json.dumps(row), flush=True)
            rows.append(row)
    show(f"reprocessing {len(emissions)} utterances, {len(spoken)} entities and one more", rows, arguments.json)
    return int(any(row.get("differing") for row in rows))


def _measure(
    arguments: argparse.Namespace, emissions: pa.Table, spoken: list[str], added: list[str], folder: str
) -> Iterator[dict[str, Any]]:
    bench = Bench(resolved(PRESETS[arguments.preset]()), open_filesystem(folder))
    began = _processor()
    recogniser = bench.recogniser(_source(spoken))
    full = {"load": _processor() - began}
    cache = bench.cache(emissions)
    yield {"what": "cache", "mb_per_audio_hour": cache.facts()["mb_per_audio_hour"]}
    yield _touched(recogniser.parts.shortlister, emissions, added)
    full["encode"] = _encoding(arguments, emissions)
    began = _processor()
    written = recogniser.transcribe(emissions)
    full["decode"] = _processor() - began
    yield {"what": "full run from audio, processor seconds", **full}
    root = bench.run(written, _source(spoken), cache).root
    for word in added[: arguments.timed]:
        before = _processor(), time.time()
        facts = _reprocess(open_run(root, None, None, {}), bench, [*spoken, word])
        seconds, wall = _processor() - before[0], time.time() - before[1]
        after = recogniser.with_lists(_source([*spoken, word])).transcribe(emissions)
        same = facts.pop("rows").equals(after.sort_by("utterance_id").combine_chunks())
        share = seconds / sum(full.values())
        times = {"cpu_seconds": seconds, "wall_seconds": wall, "share_of_full": share}
        yield {"what": f"one more: {word}", **facts, **times, "differing": not same}


def _reprocess(old: OldRun, bench: Bench, words: list[str]) -> dict[str, Any]:
    new = plan_new(old, bench.output, None, _source(words))
    reprocess(old, [new])
    record = new.folder.read_record() or {}
    totals = record["reprocess"]["totals"]
    facts = {name: totals[name] for name in ("recomputed", "changed")}
    return {**facts, "recomputed_share": totals["recomputed"] / totals["rows"], "rows": rows_of(new.folder)}


def _touched(shortlister: Shortlister, emissions: pa.Table, added: list[str]) -> dict[str, Any]:
    """Count for each word the utterances that it would make the job transcribe again."""
    touching, words, counts = Touching(shortlister), _source(added).corpus, dict.fromkeys(added, 0)
    empty = EntityList()
    for _, heard in read_emissions(emissions):
        for entity in touching.touches(heard, empty, words).entities:
            counts[entity.text] += 1
    shares = sorted(count / len(emissions) for count in counts.values())
    return {
        "what": f"{len(added)} words, each alone",
        "recomputed_share": sum(shares) / len(shares),
        "median_share": shares[len(shares) // 2],
        "most_share": shares[-1],
    }


def _encoding(arguments: argparse.Namespace, emissions: pa.Table) -> float:
    """Return the processor seconds of encoding all utterances, from those of a few; 0 without audio."""
    if not arguments.audio:
        return 0.0
    encoder = Recogniser.load(PRESETS[arguments.preset](), transcribes=False).encoder
    batch = next(pq.ParquetFile(arguments.audio).iter_batches(arguments.encoded))
    encoder.encode(pa.Table.from_batches([batch.slice(0, 4)]))  # compiles
    began = _processor()
    seconds = sum(encoder.encode(pa.Table.from_batches([batch]))["duration_seconds"].to_pylist())
    return (_processor() - began) / seconds * sum(filter(None, emissions["duration_seconds"].to_pylist()))


def _read(path: str) -> pa.Table:
    table = pq.read_table(path)
    return table.select([name for name in (*EMISSIONS.names, *ADAPTER_INPUT.names) if name in table.column_names])


def _source(words: list[str]) -> EntitySource:
    return EntitySource(SharedEntities().list_of(words))


def _spoken(lists: Path) -> set[str]:
    lines = lists.read_text(encoding="utf-8").splitlines()
    return {word for line in lines for word in json.loads(line.split("\t")[_RARE])}


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
