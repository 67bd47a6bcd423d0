"""What the phones leave of a list: how many entries are plausible in an utterance, and how many that are said are among
them.

    python -m benchmarks.shortlist --emissions out/emissions --sets is21-1000 names_dev

The phonetic shortlist of a run (pipeline.retrieval.phonetic) on lists of every kind.
"""

import argparse
from typing import Any

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import show
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.shortlist import Shortlister
from pipeline.training.guard_fit import entities_in
from pipeline.tuning.evaluation import LabelledSet

SETS = ("is21-100", "is21-1000", "is21-pooled", "names_dev", "adversarial-100")


def measure(name: str, corpus: LabelledSet, shortlister: Shortlister) -> dict[str, Any]:
    """Count entries of the lists, those that are kept, and of both those that are said."""
    listed = kept = said = found = most = 0
    for one in corpus.utterances:
        entities = corpus.lists.of(one.reference.utterance_id)
        plausible = {entity.text for entity in shortlister.shortlist(one.heard, entities).entities.entities}
        spoken = set(entities_in(one.reference.text, entities))
        listed, kept, most = listed + len(entities), kept + len(plausible), max(most, len(plausible))
        said, found = said + len(spoken), found + len(spoken & plausible)
    size = max(1, len(corpus.utterances))
    return {
        "set": name, "utterances": len(corpus.utterances), "listed": listed / size, "kept": kept / size, "most": most,
        "share": kept / max(1, listed), "said": said, "said_kept": found, "recall": found / said if said else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    options = parser.parse_args()
    bench = load(options, tuple(options.sets))
    shortlister = Recogniser.load(bench.config, encodes=False).parts.shortlister
    rows = [measure(name, corpus, shortlister) for name, corpus in bench.sets.items()]
    show("shortlists, entries per utterance", rows, options.json)


if __name__ == "__main__":
    main()
