"""What a list lacks, found from a run alone: names are taken off the lists, and looked for among the suggestions.

    python -m benchmarks.suggest --emissions out/emissions --keep out/suggest --json out/suggest.json

30% of the names that are said are taken off every list of is21-100 and of names_dev (a name is an entry of the lists),
the joint model runs with what is left, and `rollcall suggest` sees that run with its cached first pass, not the
references. A name counts as suggested if it is among the first 200, as an entity that is missing, with at most two
phones wrong: the least edits between any of its pronunciations and those of the suggestion. Strictly: and these are at
most 30% of its phones, so that short names are not met by chance. --keep keeps the runs, a folder per set and draw.
"""

import argparse
import dataclasses
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import show
from pipeline.config import joint
from pipeline.config.config_file import with_file
from pipeline.entities import snapshot
from pipeline.entities.lists import EntitySource, UtteranceLists
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.recogniser import Recogniser
from pipeline.runs.cache import cached_files
from pipeline.runs.folder import RunFolder
from pipeline.runs.reader import Run
from pipeline.storage import open_filesystem
from pipeline.suggest.doubtful import Doubts, Language, read_language
from pipeline.suggest.found import LEAST_UTTERANCES, recurring
from pipeline.suggest.gather import gather
from pipeline.suggest.suggestions import ENTITY, Listed, Suggestion, pronunciations, suggest
from pipeline.training.g2p.train import edit_distance
from pipeline.training.guard_fit import entities_in
from pipeline.tuning.evaluation import LabelledSet
from pipeline.types.entity import EntityList

SETS = {"is21-100": "librispeech_test_clean_dev", "names_dev": "names_dev"}
TAKEN = 0.3
COUNT, EARLY = 200, 50
WRONG, SHARE = 2, 0.3
_ROWS = 64


def said_in(corpus: LabelledSet) -> Counter[str]:
    """Return in how many utterances each entry of the lists is said."""
    said: Counter[str] = Counter()
    for one in corpus.utterances:
        said.update(set(entities_in(one.reference.text, corpus.lists.of(one.reference.utterance_id))))
    return said


def lists_without(corpus: LabelledSet, taken: frozenset[str]) -> EntitySource:
    """Return the lists of all utterances without what is taken off."""
    kept: dict[str, EntityList] = {}
    for one in corpus.utterances:
        name = one.reference.utterance_id
        kept[name] = EntityList(tuple(e for e in corpus.lists.of(name).entities if e.text not in taken))
    return EntitySource(lists=UtteranceLists(kept))


def write_run(recogniser: Recogniser, source: EntitySource, emissions: Path, folder: RunFolder) -> None:
    """Transcribe a first pass into a run's folder, with the lists and where the first pass lies."""
    recogniser = recogniser.with_lists(source)
    snapshot.save(source, folder.lists)
    transcripts = [
        recogniser.transcribe(pa.Table.from_batches([batch])) for batch in pq.ParquetFile(emissions).iter_batches(_ROWS)
    ]
    Path(folder.transcripts.path).mkdir(parents=True)
    pq.write_table(pa.concat_tables(transcripts), folder.transcripts.join("0.parquet").path)
    folder.write_record({"emissions": {"folder": str(emissions.resolve())}})


@dataclasses.dataclass(frozen=True)
class Judge:
    """What suggestions are made with; loaded once."""

    pronouncer: Pronouncer
    language: Language

    def suggestions(self, folder: RunFolder) -> list[Suggestion]:
        """Return what the command suggests for a run."""
        run = Run(folder.root.path)
        gathered = gather(run, cached_files(run.record, None), Doubts(self.language, self.pronouncer))
        found = recurring(gathered.spans, gathered.words, LEAST_UTTERANCES, COUNT)
        listed = Listed(snapshot.load(folder.lists), self.pronouncer)
        return suggest(found, listed, self.pronouncer, self.language)

    def wrong(self, name: str, one: Suggestion) -> tuple[int, float]:
        """Return the phones by which a suggestion differs from a name, and what share of the name's they are."""
        suggested = pronunciations(one, self.pronouncer)
        pairs = [(edit_distance(a, b), b) for a in suggested for b in self.pronouncer.pronounce(name)]
        return min(((edits, edits / len(said)) for edits, said in pairs), default=(WRONG + 1, 1.0))

    def row(self, made: Sequence[Suggestion], names: Collection[str], count: int = COUNT) -> tuple[int, int, int]:
        """Return how many names are among the first ``count``: by phones, by phones and share, and spelled right."""
        new = [one for one in made[:count] if one.kind == ENTITY]
        loose = strict = spelled = 0
        for name in names:
            wrong = [self.wrong(name, one) for one in new]
            loose += any(edits <= WRONG for edits, _ in wrong)
            strict += any(edits <= WRONG and share <= SHARE for edits, share in wrong)
            spelled += any(one.name == name for one in new)
        return loose, strict, spelled


def measure(
    judge: Judge, name: str, seed: int, made: Sequence[Suggestion], counts: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Yield a row per least number of utterances; ``counts``: of the names that were taken off."""
    for least in (3, 2):
        names = [one for one, count in counts.items() if count >= least]
        loose, strict, spelled = judge.row(made, names)
        early = judge.row(made, names, EARLY)[1]
        yield {
            "set": name,
            "draw": seed,
            "said in at least": least,
            "taken off": len(names),
            "suggested": loose,
            "share": loose / len(names) if names else None,
            "strictly": strict,
            f"among {EARLY}": early,
            "spelled right": spelled,
            "suggestions": len(made),
        }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="draws of what is taken off")
    parser.add_argument("--keep", type=Path, default=Path("out/suggest"), help="runs are kept here (default there)")
    options = parser.parse_args(argv)
    bench = load(options, tuple(options.sets))
    config = with_file(joint(), options.config)
    recogniser, judge = Recogniser.load(config, encodes=False), Judge(Pronouncer(), read_language(config))
    rows: list[dict[str, Any]] = []
    for name, corpus in bench.sets.items():
        said = said_in(corpus)
        for seed in options.seeds:
            names = sorted(said)
            taken = frozenset(random.Random(seed).sample(names, round(TAKEN * len(names))))
            folder = RunFolder(open_filesystem(str(options.keep / f"{name}-{seed}")))
            if folder.read_record() is None:
                emissions = options.emissions / f"{SETS[name]}.parquet"
                write_run(recogniser, lists_without(corpus, taken), emissions, folder)
            counts = {one: said[one] for one in sorted(taken)}
            rows += measure(judge, name, seed, judge.suggestions(folder), counts)
    show("names taken off the lists that are suggested", rows, options.json)


if __name__ == "__main__":
    main()
