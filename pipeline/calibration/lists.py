"""The sets that a user's speech becomes: his utterances with lists that are made for them."""

import dataclasses

from pipeline.lexicon.pronunciation import Pronouncer
from pipeline.recognition.transcribe import Transcriber
from pipeline.scoring.score import NO_LISTS, Reference
from pipeline.training.made_lists import ListMaker
from pipeline.tuning.evaluation import Labelled, LabelledSet, heard_in, with_lists
from pipeline.types.entity import EMPTY

LISTED, ALIKE = "listed", "alike"
"""Lists as users have them, with rare words that are said; and lists of sound-alikes of which nothing is said."""
SIZE = 100
"""Entries of a list."""


def with_made_lists(corpus: LabelledSet, pronouncer: Pronouncer, said: bool = True) -> dict[str, LabelledSet]:
    """Return the corpus with both kinds of lists; only with sound-alikes where what is ``said`` is not known."""
    texts = {one.reference.utterance_id: one.reference.text.split() for one in corpus.utterances}
    maker = ListMaker(list(texts.values()), pronouncer)
    alike = {name: maker.alike(name, words) for name, words in texts.items()}
    found = {ALIKE: with_lists(corpus, alike.__getitem__)}
    if said:
        listed = {name: maker.filled(name, words, SIZE) for name, words in texts.items()}
        found[LISTED] = with_lists(corpus, listed.__getitem__)
    return found


def parted(corpus: LabelledSet) -> tuple[LabelledSet, LabelledSet]:
    """Return halves that share no speaker; of one speaker, every second utterance."""
    halves = corpus.halves()
    if all(half.utterances for half in halves):
        return halves
    first, second = (dataclasses.replace(corpus, utterances=corpus.utterances[side::2]) for side in (0, 1))
    return first, second


def as_written(emissions: str, transcriber: Transcriber) -> LabelledSet:
    """Return the utterances of an EMISSIONS file that nobody transcribed, with what is written without a list."""
    found = [
        Labelled(Reference(name, transcriber.hypotheses(heard, EMPTY)[0][0].text, seconds), heard)
        for name, seconds, heard in heard_in(emissions)
    ]
    return LabelledSet(tuple(sorted(found, key=lambda one: one.reference.utterance_id)), NO_LISTS)
