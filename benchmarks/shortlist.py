"""What the phones leave of a list: how many entries are plausible in an utterance, and how many that are said are among
them.

    python -m benchmarks.shortlist --emissions out/emissions --sets is21-1000 names_dev

The phonetic shortlist of a run (pipeline.retrieval.phonetic) on lists of every kind; with --lexical also what is nearly
written (pipeline.retrieval.lexical), and what each of the two brings that the other does not.
"""

import argparse
from collections import Counter
from typing import Any

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import show
from pipeline.config import override
from pipeline.recognition.recogniser import Recogniser
from pipeline.retrieval.shortlist import Shortlister
from pipeline.training.guard_fit import entities_in
from pipeline.tuning.evaluation import LabelledSet

SETS = ("is21-100", "is21-1000", "is21-pooled", "names_dev", "adversarial-100")


def measure(name: str, corpus: LabelledSet, shortlister: Shortlister) -> dict[str, Any]:
    """Count entries of the lists, those that are kept, and of both those that are said."""
    listed = kept = said = found = most = 0
    alone: Counter[str] = Counter()  # entries and spoken ones that one strategy alone brings
    for one in corpus.utterances:
        entities = corpus.lists.of(one.reference.utterance_id)
        shortlist = shortlister.shortlist(one.heard, entities)
        plausible = {entity.text for entity in shortlist.entities.entities}
        spoken = set(entities_in(one.reference.text, entities))
        for entity, names in zip(shortlist.entities.entities, shortlist.strategies, strict=True):
            if len(names) == 1 and len(shortlister.strategies) > 1:
                alone[f"{names[0]} alone"] += 1
                alone[f"{names[0]} alone, said"] += entity.text in spoken
        listed, kept, most = listed + len(entities), kept + len(plausible), max(most, len(plausible))
        said, found = said + len(spoken), found + len(spoken & plausible)
    size = max(1, len(corpus.utterances))
    return {
        "set": name, "utterances": len(corpus.utterances), "listed": listed / size, "kept": kept / size, "most": most,
        "share": kept / max(1, listed), "said": said, "said_kept": found, "recall": found / said if said else None,
        **alone,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--lexical", action="store_true", help="with the strategy lexical")
    options = parser.parse_args()
    bench = load(options, tuple(options.sets))
    config = override(bench.config, {"lexical": {}}) if options.lexical else bench.config
    shortlister = Recogniser.load(config, encodes=False).parts.shortlister
    rows = [measure(name, corpus, shortlister) for name, corpus in bench.sets.items()]
    show("shortlists, entries per utterance", rows, options.json)


if __name__ == "__main__":
    main()
