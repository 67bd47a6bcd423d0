"""What retrieval finds of large catalogs, what it costs, and what the whole recogniser makes of it.

    python -m benchmarks.retrieval --catalog words=../shared/data/is21_deep_bias/all_rare_words.txt \
        --set words=out/emissions/librispeech_test_clean_dev.parquet:../shared/data/librispeech_test_clean_dev.parquet
    python -m benchmarks.retrieval --catalog directory=../shared/data/names_dev_directory.txt \
        --set directory=out/emissions/names_dev.parquet:../shared/data/names_dev.parquet --end-to-end --bounds -3 -4 -5

A set is a cached first pass, made where it is missing, and its audio with references; its names are those that stand in
the audio's column ``entities``, else the words of the catalog that are said. Catalogs are kept below --catalogs.

With --session the run with a session stands beside those without. Utterances whose ids are the same up to the last
``-`` are one recording, which for LibriSpeech is a chapter. A mention is repeated where the name was said before in it.
"""

import argparse
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.decoding_sets import first_pass
from benchmarks.table import show
from jobs.run.catalogs import build
from pipeline.acoustic.loading import load_tokens
from pipeline.config import CutConfig, LexicalConfig, RunConfig, SessionConfig, TreeConfig, baseline, joint, without
from pipeline.entities.lists import load_entities
from pipeline.entities.loading import entity_of
from pipeline.entities.matching import find_entities
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.recordings import Recordings, clear_row
from pipeline.schemas import CLEAR
from pipeline.scoring.score import Lists, Written, score
from pipeline.text import ENGLISH
from pipeline.tuning.evaluation import Labelled, LabelledSet, load_labelled_set, sample
from pipeline.types.entity import EMPTY, Entity, EntityList

_WORDS = 4  # of the longest name that is looked for in references without a column of names


@dataclasses.dataclass(frozen=True)
class Task:
    """Utterances, the catalog for all of them, and the names that are said in each."""

    corpus: LabelledSet
    catalog: EntityList
    said: dict[str, frozenset[str]]

    def repeated(self) -> dict[str, frozenset[str]]:
        """Return the names of each utterance that are said earlier in its recording."""
        before: dict[str, set[str]] = {}
        found = {}
        for one in self.corpus.utterances:  # sorted by their ids
            name = one.reference.utterance_id
            known = before.setdefault(_recording(name), set())
            found[name] = self.said[name] & known
            known |= self.said[name]
        return found

    def told(self, config: RunConfig) -> "Task":
        """Return the task with every utterance told what was clear earlier in its recording."""
        transcriber = Recogniser.load(config, encodes=False).transcriber
        rows = [_row(one) for one in self.corpus.utterances]
        clear = [
            clear_row(row, transcriber.clear(one.heard, self.catalog))
            for row, one in zip(rows, self.corpus.utterances, strict=True)
        ]
        recordings = Recordings(pa.Table.from_pylist(clear, CLEAR))
        utterances = tuple(
            dataclasses.replace(one, heard=dataclasses.replace(one.heard, earlier=recordings.earlier(row)))
            for row, one in zip(rows, self.corpus.utterances, strict=True)
        )
        return dataclasses.replace(self, corpus=dataclasses.replace(self.corpus, utterances=utterances))


def _recording(utterance_id: str) -> str:
    return utterance_id.rpartition("-")[0]


def _row(one: Labelled) -> dict[str, Any]:
    name = one.reference.utterance_id
    return {"utterance_id": name, "recording_id": _recording(name)}


def load_task(emissions: str, audio: str, catalog: EntityList, utterances: int | None) -> Task:
    corpus = load_labelled_set(emissions, audio)
    corpus = sample(corpus, utterances) if utterances else corpus
    said: dict[str, frozenset[str]] = {}
    if "entities" in pq.read_schema(audio).names:
        for row in pq.read_table(audio, columns=["utterance_id", "entities"]).to_pylist():
            said[row["utterance_id"]] = frozenset(entity_of(one, ENGLISH).text for one in row["entities"] or [])
    else:
        known = {entity.text for entity in catalog.entities}
        for one in corpus.utterances:
            said[one.reference.utterance_id] = frozenset(one.reference.text.split()) & known
    return Task(corpus, catalog, said)


def retrieved(name: str, task: Task, config: RunConfig) -> dict[str, Any]:
    """Return recall, candidates and processor time of the shortlists."""
    shortlister = Recogniser.load(config, encodes=False, transcribes=False).parts.shortlister
    shortlister.shortlist(task.corpus.utterances[0].heard, task.catalog)  # opens what it reads
    found = said = 0
    sizes, seconds = [], []
    for one in task.corpus.utterances:
        began = time.process_time()
        chosen = shortlister.shortlist(one.heard, task.catalog)
        seconds.append(time.process_time() - began)
        names = task.said[one.reference.utterance_id]
        found += len(names & {entity.text for entity in chosen.entities.entities})
        said, sizes = said + len(names), [*sizes, len(chosen.entities)]
    return {
        "system": name, "entities": len(task.catalog), "said": said, "recall": found / max(1, said),
        "candidates": float(np.mean(sizes)), "p95": float(np.percentile(sizes, 95)), "max": max(sizes),
        "ms p50": 1e3 * float(np.median(seconds)), "ms p95": 1e3 * float(np.percentile(seconds, 95)),
    }  # fmt: skip


def recognised(name: str, task: Task, config: RunConfig, entities: EntityList) -> dict[str, Any]:
    """Return ``counted`` of the whole recogniser on the cached first pass, and its speed."""
    recogniser, seconds = Recogniser.load(config, encodes=False), 0.0
    written: dict[str, tuple[str, list[str]]] = {}
    for one in task.corpus.utterances:
        began = time.process_time()
        written[one.reference.utterance_id] = _transcribed(recogniser, one, entities)
        seconds += time.process_time() - began
    return {"system": name, **counted(task, written), "x real time": task.corpus.seconds / max(seconds, 1e-9)}


def counted(task: Task, written: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Any]:
    """Return recall, false names, F1, WER and U-WER of a text, and the names that are marked in it, of each utterance.

    A name is found if its words stand in the text. It is false if it is a name of the catalog, stands in the text (the
    longest name where several begin) and its words were not said: with a list or without, the same text counts the
    same. ``marked falsely`` are those of them that a run with a list marks as entities; ``F1 marked`` counts no others.
    """
    found = said = false = marked_falsely = again = again_found = 0
    repeated = task.repeated()
    for one in task.corpus.utterances:
        name = one.reference.utterance_id
        text, marked = written[name]
        spoken, phrases = _phrases(one.reference.text.split()), _phrases(text.split())
        said, found = said + len(task.said[name]), found + len(task.said[name] & phrases)
        again, again_found = again + len(repeated[name]), again_found + len(repeated[name] & phrases)
        false += sum(one.entity.text not in spoken for one in find_entities(text.split(), task.catalog))
        marked_falsely += sum(entity not in spoken for entity in marked)
    rates = _word_errors(task, {name: text for name, (text, _) in written.items()})
    return {
        "recall": found / max(1, said), "written falsely": false, "marked falsely": marked_falsely,
        "falsely / h": 3600 * false / max(1e-9, task.corpus.seconds), "F1 %": _f1(said, found, false),
        "F1 marked %": _f1(said, found, marked_falsely), "WER %": rates[0], "U-WER %": rates[1],
        "repeated": again, "of these found": again_found,
    }  # fmt: skip


def _f1(said: int, found: int, false: int) -> float:
    return 100 * 2 * found / max(1, found + false + said)


def _word_errors(task: Task, texts: Mapping[str, str]) -> tuple[float, float]:
    """Return WER and U-WER in percent; what is U follows from what is said, with a list or without."""
    listed = {name: EntityList(tuple(Entity(text, text) for text in sorted(said))) for name, said in task.said.items()}
    references = [one.reference for one in task.corpus.utterances]
    scored = score(references, {name: Written(text) for name, text in texts.items()}, Lists(listed.__getitem__))
    wer, u_wer = (scored.word_counts(group) for group in ("wer", "u_wer"))
    return 100 * wer.errors / max(1, wer.words), 100 * u_wer.errors / max(1, u_wer.words)


def _transcribed(recogniser: Recogniser, one: Labelled, entities: EntityList) -> tuple[str, list[str]]:
    heard, shortlist = recogniser.attended(one.heard, entities)
    nbest, _ = recogniser.transcriber.hypotheses(heard, entities, shortlist)
    return nbest[0].text, [span.entity for span in nbest[0].entities]


def _phrases(words: Sequence[str]) -> set[str]:
    return {" ".join(words[at:end]) for at in range(len(words)) for end in range(at + 1, len(words) + 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", action="append", required=True, metavar="NAME=LIST")
    parser.add_argument("--set", action="append", required=True, metavar="NAME=EMISSIONS:AUDIO")
    parser.add_argument("--catalogs", type=Path, default=Path("out/catalogs"))
    parser.add_argument("--utterances", type=int, help="about this many of each set; default all")
    parser.add_argument("--bounds", type=float, nargs="+", default=[joint().cut.bound])  # type: ignore[union-attr]
    parser.add_argument("--phonetic", action="store_true", help="the shortlist without a cut too")
    parser.add_argument("--lexical", action="store_true", help="what is nearly written beside the cut too")
    parser.add_argument("--tree", metavar="WEIGHTS", nargs="*", help="the tree in place of a look at all names too")
    parser.add_argument("--cut", metavar="WEIGHTS", help="weights of the cut in place of the shipped ones")
    parser.add_argument("--end-to-end", action="store_true", help="the whole recogniser too")
    parser.add_argument("--session", action="store_true", help="with --end-to-end, each bound with a session too")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    options = parser.parse_args()
    sets = dict(one.split("=", 1) for one in options.set)
    for pair in options.catalog:
        name, path = pair.split("=", 1)
        tokens = load_tokens(joint().acoustic)
        catalog = build(load_entities(path, alphabet=ENGLISH).corpus, options.catalogs / name, options.catalogs, tokens)
        emissions, audio = sets[name].split(":")
        first_pass(Path(audio), Path(emissions), baseline())
        task = load_task(emissions, audio, catalog, options.utterances)
        systems = _systems(options)
        rows = [retrieved(system, task, config) for system, config in systems.items()]
        show(f"{name}: shortlists", rows, options.json)
        if options.end_to_end:
            ends = [recognised("no list", task, baseline(), EMPTY)]
            for found, (system, config) in zip(rows, systems.items(), strict=True):
                ends.append(recognised(system, task, config, catalog) | _of_shortlists(found))
            for bound in options.bounds if options.session else ():
                config = dataclasses.replace(_bounded(bound, options.cut), session=SessionConfig())
                ends.append(recognised(f"ranked {bound:g}, session", task.told(config), config, catalog))
            show(f"{name}: end to end", ends, options.json)


def _of_shortlists(found: dict[str, Any]) -> dict[str, Any]:
    """Return of a row of ``retrieved`` what stands beside a row of ``recognised``."""
    names = ("candidates", "p95", "max", "ms p50", "ms p95")
    return {"on the shortlist": found["recall"], **{name: found[name] for name in names}}


def _systems(options: argparse.Namespace) -> dict[str, RunConfig]:
    """Return what is measured by name."""
    plain = {f"ranked {bound:g}": _bounded(bound, options.cut) for bound in options.bounds}
    systems = dict(plain)
    systems |= {"phonetic": without(joint(), "cut")} if options.phonetic else {}
    if options.lexical:
        systems |= {
            f"{name}, lexical": dataclasses.replace(one, lexical=LexicalConfig()) for name, one in plain.items()
        }
    for weights in () if options.tree is None else options.tree or [TreeConfig().weights]:
        tree = TreeConfig(weights=weights)
        systems |= {name.replace("ranked", "tree"): dataclasses.replace(one, tree=tree) for name, one in plain.items()}
    return systems


def _bounded(bound: float, weights: str | None) -> RunConfig:
    cut = CutConfig(bound=bound)
    return dataclasses.replace(joint(), cut=cut if weights is None else dataclasses.replace(cut, weights=weights))


if __name__ == "__main__":
    main()
