"""How often a chance for a false accept becomes one: the rates behind the linter's expected false accepts.

    python -m benchmarks.false_accept_rates --emissions out/emissions --width 128

The joint preset transcribes each set with its lists. A chance is an entry that is not said, in one utterance: by the
edits per phone to the nearest word that is written there without a list, and by the nats per phone at which it fits
the phones. Counted is how many of these entries are written all the same. On adversarial-100 all entries sound like
something that is said, on is21-1000 they are drawn at random; pipeline/lint/usage.py has the rates.
"""

import argparse
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.decoding_sets import add_arguments, load
from benchmarks.table import show
from pipeline.config import ShortlistConfig, joint
from pipeline.config.config_file import with_file
from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.lint.sound import pronounce
from pipeline.lint.usage import fits, nearest, without_entities
from pipeline.recognition.recogniser import Recogniser
from pipeline.recognition.transcribe import Transcriber, transcript_fields
from pipeline.retrieval.phonetic import Phonetic
from pipeline.training.guard_fit import entities_in
from pipeline.tuning.evaluation import Labelled, LabelledSet
from pipeline.types.entity import EntityList

SETS = ("adversarial-100", "is21-1000")
APART = (0.0, 0.06, 0.12, 0.2, 0.34)  # edits per phone, up to; above, the linter expects nothing
FIT = (0.25, 0.5, 0.75, 1.0, 1.5, 1e3)  # nats per phone, up to; the shortlist says which entries fit at all


@dataclasses.dataclass(frozen=True)
class Chance:
    """An entry that is not said in an utterance; inf for what is not near, or does not fit."""

    apart: float
    fit: float
    written: bool


def chances(one: Labelled, entities: EntityList, transcriber: Transcriber, pronouncer: Pronouncer) -> Iterator[Chance]:
    """Transcribe an utterance and yield every entry that is not said in it and can be pronounced."""
    nbest, plausible = transcriber.hypotheses(one.heard, entities, one.shortlist)
    row = transcript_fields(nbest, plausible, 1.0)
    written = {entity["entity"] for entity in row["entities"]}
    said = entities_in(one.reference.text, entities)
    sounds = pronounce(entities, pronouncer)
    unsaid = EntityList(tuple(kept for kept in entities.entities if kept.text not in said and sounds[kept.text]))
    apart: dict[str, float] = {}
    for (text, _), edits in nearest(sorted(set(without_entities(row))), unsaid, sounds, pronouncer).items():
        apart[text] = min(edits, apart.get(text, math.inf))
    if one.heard.phone_log_probs is None or not len(unsaid):
        return
    (costs,) = fits([one.heard.phone_log_probs], unsaid, Phonetic(ShortlistConfig(), pronouncer))
    for entity, cost in zip(unsaid.entities, costs.tolist(), strict=True):
        yield Chance(apart.get(entity.text, math.inf), cost, entity.text in written)


def rows(name: str, corpus: LabelledSet, transcriber: Transcriber) -> list[dict[str, Any]]:
    """Return the counts of one set."""
    pronouncer, found = Pronouncer(), list[Chance]()
    for one in corpus.utterances:
        found += chances(one, corpus.lists.of(one.reference.utterance_id), transcriber, pronouncer)
    counted = []
    written = np.array([one.written for one in found])
    for measure, ends in (("apart", APART), ("fit", FIT)):
        values = np.array([getattr(one, measure) for one in found])
        at = np.searchsorted(ends, values)  # the first end that is not below the value
        for number, end in enumerate([*ends, math.inf]):
            chance, accepted = int((at == number).sum()), int(written[at == number].sum())
            rate = 100 * accepted / chance if chance else math.nan
            counted.append(
                {"set": name, "hours": corpus.seconds / 3600, "measure": measure, "up to": end, "chances": chance,
                 "false accepts": accepted, "rate %": rate}
            )  # fmt: skip
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    options = parser.parse_args()
    bench, config = load(options, tuple(options.sets)), with_file(joint(), options.config)
    config = dataclasses.replace(config, beam=dataclasses.replace(config.beam, width=options.width))
    transcriber, sets = Recogniser.load(config, encodes=False).transcriber, bench.heard_by(config)
    counted = [row for name, corpus in sets.items() for row in rows(name, corpus, transcriber)]
    show("chances for false accepts, and what became of them", counted, options.json)


if __name__ == "__main__":
    main()
