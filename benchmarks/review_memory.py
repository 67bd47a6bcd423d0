"""What a memory of reviews is worth: names that reviewers corrected, in other recordings of the same speakers.

    python -m benchmarks.review_memory --audio recurring --entities directory.txt --keep out/memory/recurring
    python -m benchmarks.review_memory --audio ../shared/data/librispeech_test_clean_dev.parquet \
        --entities ../shared/data/is21_deep_bias/test-clean-dev.biasing_100.tsv --keep out/memory/is21-100

A run is made of all the audio with `jobs.transcribe`, its first pass cached. Of each speaker's utterances some, drawn
by a seed, are reviewed. The reviewer is simulated from the references: hears the utterance whole, accepts, rejects and
marks missed names, overlooks 5% and errs in 2% (says that the name next to it in the list was said). `jobs.learn` makes
the memory of it. Then the other utterances are judged, without the memory (the run) and with it (pipeline.reprocess:
what a full run with it writes).

A mention is an entry of the utterance's list that stands in its reference. "Corrected": mentions of names that the
reviewer had to mark as missed in another utterance of the same speaker; "others": all other mentions. False accepts:
entities that the transcript has more often than the reference.
"""

import argparse
import dataclasses
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.table import show
from jobs import learn, transcribe
from pipeline.config import RunConfig, override
from pipeline.config.fingerprint import config_fingerprint
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource
from pipeline.recognition.recogniser import Recogniser
from pipeline.reprocess.redo import Redo
from pipeline.reprocess.touched import touching_of
from pipeline.review.check import Review
from pipeline.review.folder import ReviewsFolder
from pipeline.runs.cache import cached_files
from pipeline.runs.columns import batches_of
from pipeline.runs.folder import RunFolder
from pipeline.scoring.alignment import align
from pipeline.scoring.inputs import read_references
from pipeline.storage import Location, open_filesystem, read_table
from pipeline.text import ENGLISH
from pipeline.training.guard_fit import entities_in
from pipeline.types.entity import EntityList

OVERLOOKED, WRONG = 0.05, 0.02
_ROWS = 64
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A finished run, what was said in it, and the list of each utterance."""

    run: RunFolder
    record: Row
    rows: tuple[Row, ...]
    references: Mapping[str, str]
    source: EntitySource
    own: Mapping[str, list[str] | None]

    def entities(self, name: str) -> EntityList:
        return self.source.of(name, self.own.get(name))

    def said(self, name: str) -> Counter[str]:
        return entities_in(self.references[name], self.entities(name))


def prepare(options: argparse.Namespace, audio: Path, emissions: Path | None) -> Corpus:
    """Return the run of the audio, made where it is not there yet."""
    first = ["--emissions", str(emissions)] if emissions else ["--audio", str(audio), "--cache-emissions"]
    command = [*first, "--output", str(options.keep / "runs")]
    command += ["--executor", "local", "--summary", str(options.keep / "summary.json")]
    command += ["--entities", str(options.entities)] if options.entities else []
    command += ["--entities-column", options.entities_column] if options.entities_column else []
    options.keep.mkdir(parents=True, exist_ok=True)
    if transcribe.main(command) != 0:
        raise SystemExit("the run did not succeed")
    record = json.loads((options.keep / "summary.json").read_text())
    run = RunFolder(open_filesystem(str(options.keep / "runs" / record["fingerprint"])))
    rows = pa.concat_tables([read_table(file) for file in run.files()]).sort_by("utterance_id").to_pylist()
    references, _ = read_references(str(audio), ENGLISH)
    own: dict[str, list[str] | None] = {}
    if record["list_column"] is not None:
        for batch in batches_of(cached_files(record, None), [row["utterance_id"] for row in rows], ["entities"]):
            own |= dict(zip(batch["utterance_id"].to_pylist(), batch["entities"].to_pylist(), strict=True))
    texts = {one.utterance_id: one.text for one in references}
    return Corpus(run, record, tuple(row for row in rows if row["error"] is None), texts, snapshot.load(run.lists), own)


def is_reviewed(row: Row, seed: int, share: float) -> bool:
    """Whether an utterance is among those that are reviewed; fixed by its id and the seed."""
    digest = hashlib.sha256(f"{seed} {row['utterance_id']}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def reviews_of(corpus: Corpus, rows: Sequence[Row], seed: int) -> Iterator[Review]:
    """Yield what the simulated reviewer says."""
    chance = random.Random(seed)
    for row in rows:
        name = row["utterance_id"]
        said, entities = corpus.said(name), corpus.entities(name)
        left = said.copy()
        for one in row["entities"] or ():
            right = left[one["entity"]] > 0
            left[one["entity"]] -= right
            if chance.random() < WRONG:
                right = not right
            if right or chance.random() >= OVERLOOKED:
                span = one["start_seconds"], one["end_seconds"]
                yield _review(corpus, row, *span, "accepted" if right else "rejected", entity=one["entity"])
        for missed in sorted((+left).elements()):
            span = span_of(corpus.references[name], missed, row)
            if span is not None and chance.random() >= OVERLOOKED:
                given = missed if chance.random() >= WRONG else chance.choice(entities.entities).text
                yield _review(corpus, row, *span, "missed", correction=given)


def _review(corpus: Corpus, row: Row, start: float, end: float, verdict: str, **more: str) -> Review:
    fixed = {"run": corpus.record["fingerprint"], "reviewer": "simulated", "probability": 1.0, "whole": True}
    where = {name: row[name] for name in ("utterance_id", "audio_sha256")} | {
        "start_seconds": start,
        "end_seconds": end,
    }
    empty = dict.fromkeys(("entity", "text", "correction", "error"))
    return empty | fixed | where | {"verdict": verdict, "reviewed_at": datetime(2026, 11, 30, tzinfo=UTC)} | more


def span_of(reference: str, name: str, row: Row) -> tuple[float, float] | None:
    """Return where the words lie that the run wrote for a name; None where it wrote none."""
    words, wanted = reference.split(), name.split()
    starts = [at for at in range(len(words)) if words[at : at + len(wanted)] == wanted]
    if not starts:
        return None  # said as an alias
    inside = set(range(starts[0], starts[0] + len(wanted)))
    steps = align(words, [word["word"] for word in row["words"]])
    places = [at for at, step in enumerate(steps) if step.reference in inside]
    written = [step.hypothesis for step in steps[places[0] : places[-1] + 1] if step.hypothesis is not None]
    if not written:
        return None
    return row["words"][written[0]]["start_seconds"], row["words"][written[-1]]["end_seconds"]


def remembering(config: RunConfig, path: str, options: argparse.Namespace) -> RunConfig:
    fields = {name: getattr(options, name) for name in ("weight", "max_distance", "per_phone", "least")}
    given = {name: value for name, value in fields.items() if value is not None}
    return override(config, {"memory": {"path": path} | given})


def redone(corpus: Corpus, rows: Sequence[Row], before: RunConfig, after: RunConfig) -> tuple[list[Row], int]:
    """Return the rows as the configuration ``after`` writes them, and how many were transcribed again."""
    recogniser = Recogniser.load(after, corpus.source, config_fingerprint=config_fingerprint(after), encodes=False)
    touching = touching_of(before, after, recogniser.parts.pronouncer, recogniser.parts.tokens)
    own = corpus.record["list_column"] is not None
    redo = Redo(recogniser, corpus.source, corpus.source, own, touching, config_fingerprint(after))
    names = [row["utterance_id"] for row in rows]
    done, again = list[Row](), 0
    cached = cached_files(corpus.record, None)
    written = pa.concat_tables([read_table(file) for file in corpus.run.files()])
    for at in range(0, len(names), _ROWS):
        part = pa.array(names[at : at + _ROWS])
        emissions = pa.Table.from_batches(list(batches_of(cached, part.to_pylist(), _columns(cached), _ROWS)))
        made = redo.redo(written.filter(pc.is_in(written["utterance_id"], part)), emissions)
        done, again = done + made.rows.to_pylist(), again + made.recomputed
    return done, again


def _columns(files: Sequence[Location]) -> list[str]:
    return list(pq.read_schema(files[0].path, filesystem=files[0].arrow()).names)


def measured(corpus: Corpus, rows: Sequence[Row], corrected: set[tuple[str, str]]) -> dict[str, float]:
    """Count mentions of corrected names and of others, those that are found, and what is written falsely."""
    counts: Counter[str] = Counter()
    for row in rows:
        name, found = row["utterance_id"], Counter(one["entity"] for one in row["entities"] or ())
        said = corpus.said(name)
        for entity, times in said.items():
            kind = "corrected" if (row["speaker"], entity) in corrected else "others"
            counts[kind] += times
            counts[f"{kind} found"] += min(times, found[entity])
        counts["false accepts"] += sum((found - said).values())
        reference, written = corpus.references[name].split(), (row["text"] or "").split()
        counts["words"] += len(reference)
        counts["errors"] += sum(step.operation != 0 for step in align(reference, written))
    return dict(counts)


def row_of(system: str, counts: Mapping[str, float], hours: float, again: int) -> dict[str, Any]:
    shares = {
        kind: 100 * counts.get(f"{kind} found", 0) / counts[kind] if counts.get(kind) else None
        for kind in ("corrected", "others")
    }
    return {
        "system": system, "corrected": counts.get("corrected", 0), "recall corrected %": shares["corrected"],
        "others": counts.get("others", 0), "recall others %": shares["others"],
        "false accepts": counts.get("false accepts", 0), "per hour": counts.get("false accepts", 0) / hours,
        "WER %": 100 * counts["errors"] / counts["words"], "done again": again,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="AUDIO parquet with references")
    parser.add_argument("--emissions", type=Path, help="its first pass, where a run has cached it")
    parser.add_argument("--elsewhere", type=Path, help="other AUDIO, in which the memory should change nothing")
    parser.add_argument("--elsewhere-emissions", type=Path, help="its first pass, where a run has cached it")
    parser.add_argument("--entities", type=Path, help="list")
    parser.add_argument("--entities-column", help="of the audio, with lists")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the run, the reviews and the memory")
    parser.add_argument("--share", type=float, default=0.5, help="of each speaker's utterances that are reviewed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    for name in ("weight", "max-distance", "per-phone", "least"):
        parser.add_argument(f"--{name}", type=float, help="of the memory, in place of the default")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args(argv)
    corpus, rows = prepare(options, options.audio, options.emissions), list[dict[str, Any]]()
    other = prepare(options, options.elsewhere, options.elsewhere_emissions) if options.elsewhere else None
    before = override(RunConfig(), corpus.record["config"])
    for seed in options.seeds:
        reviewed = [row for row in corpus.rows if is_reviewed(row, seed, options.share)]
        judged = [row for row in corpus.rows if not is_reviewed(row, seed, options.share)]
        folder = options.keep / f"reviews-{seed}"
        reviews = list(reviews_of(corpus, reviewed, seed))
        ReviewsFolder(open_filesystem(str(folder))).add(reviews, ENGLISH)
        speakers = {row["utterance_id"]: row["speaker"] for row in reviewed}
        corrected = {
            (speakers[one["utterance_id"]], one["correction"]) for one in reviews if one["verdict"] == "missed"
        }
        command = ["--reviews", str(folder), "--run", corpus.run.root.path, "--output", str(options.keep / "learnt")]
        if learn.main(command) != 0:
            raise SystemExit("learning did not succeed")
        memory = json.loads((options.keep / "learnt" / "learn.json").read_text())["memory"]["file"]
        hours = sum(row["duration_seconds"] for row in judged) / 3600
        after = remembering(before, memory.removeprefix("file://"), options)
        made, again = redone(corpus, judged, before, after)
        for system, some, count in (("without memory", judged, 0), ("with memory", made, again)):
            rows.append({"seed": seed} | row_of(system, measured(corpus, some, corrected), hours, count))
        if other is not None:
            hours = sum(row["duration_seconds"] for row in other.rows) / 3600
            there, again = redone(other, other.rows, before, after)
            for system, some, count in (("elsewhere without", other.rows, 0), ("elsewhere with", there, again)):
                rows.append({"seed": seed} | row_of(system, measured(other, some, set()), hours, count))
        texts = json.dumps(_differing(corpus, judged, made, corrected), indent=1)
        (options.keep / f"made-{seed}.json").write_text(texts)
    show(f"a memory of reviews, {options.keep.name}", rows, options.json)


def _differing(
    corpus: Corpus, before: Sequence[Row], after: Sequence[Row], corrected: set[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Return what was said and written in every utterance that the memory changed or in which a corrected name is."""
    later = {row["utterance_id"]: row for row in after}
    found = []
    for row in before:
        name = row["utterance_id"]
        wanted = [one for one in corpus.said(name) if (row["speaker"], one) in corrected]
        if wanted or later[name]["text"] != row["text"]:
            texts = {"said": corpus.references[name], "before": row["text"], "after": later[name]["text"]}
            found.append({"utterance": name, "corrected": wanted, **texts})
    return found


if __name__ == "__main__":
    main()
