"""What reviews say of decisions: for each utterance and strategy what every level found, and what that was worth.

Strategies follow from the cached first pass alone, so what each level finds on the run's list is made again for every
reviewed utterance, whatever was drawn. What that was worth:

    heard whole         every name of the list that was said is known: those accepted, corrected to and missed. So the
                        reward of every level is, whatever was drawn.
    proposals judged    a name that was accepted counts for the level that finds it first, at or below the one that was
                        taken; what wider levels would have brought nobody knows. Propensities are those of DECISIONS of
                        the run that was reviewed, whichever that was; a run without a policy took the default level for
                        sure.

A name that an earlier strategy finds at its default level is that one's: later ones are paid for what they add.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.entities.lists import EntitySource
from pipeline.retrieval.context import Context, ContextReader
from pipeline.retrieval.policy import SURE, Vector
from pipeline.retrieval.strategy import DEFAULT, LEVELS, Strategy
from pipeline.review.check import Review
from pipeline.review.folder import CONFLICT, Files, counting
from pipeline.text import Alphabet, normalise
from pipeline.types.emissions import Emissions
from pipeline.types.entity import EntityList

KNOWN: Vector = (1.0,) * (LEVELS + 1)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What a run did: the level that was taken, and the probabilities of drawing at least each."""

    level: int = DEFAULT
    at_least: Vector = SURE


@dataclasses.dataclass(frozen=True)
class Unit:
    """One strategy in one utterance.

    drawn:      the widest level whose worth is known
    at_least:   [LEVELS + 1] probabilities of drawing at least each level in the run that was reviewed; KNOWN where it
                was heard whole and nobody explored
    names:      [LEVELS] said names that each level finds first; of levels up to ``drawn``
    candidates: [LEVELS] entities that each level finds
    said:       names of the list that were said, where the utterance was heard whole
    weight:     inverse of the probability with which the utterance was chosen for review
    """

    utterance_id: str
    strategy: str
    speaker: str
    tenant: str
    session: str
    context: Context
    drawn: int
    at_least: Vector
    names: tuple[int, ...]
    candidates: tuple[int, ...]
    whole: bool
    said: int = 0
    weight: float = 1.0


def tells(unit: Unit) -> bool:
    """Whether a policy can be learnt from it: all of its levels are known, or each with a chance.

    Without exploration what wider levels bring is never seen, and the units where nothing was wanting would not tell.
    """
    return unit.whole or unit.at_least[-1] > 0


def unheard_of(unit: Unit) -> Unit:
    """Return the unit as it is before any review: what levels find is known, and nothing of what was said."""
    return dataclasses.replace(unit, drawn=0, at_least=SURE, names=(0,) * LEVELS, whole=False, said=0, weight=1.0)


@dataclasses.dataclass(frozen=True)
class Reviewed:
    """What is known of one utterance of one run: names (normalised) that were said, and whether they are all."""

    run: str
    utterance_id: str
    said: frozenset[str]
    whole: bool
    probability: float


def reviewed(files: Files, alphabet: Alphabet) -> dict[str, Reviewed]:
    """Return what reviews say, by the hash of the audio; of several runs' of one audio, that heard whole or the first.

    Utterances about which reviewers contradict each other are left out: nobody knows then.
    """
    open_questions = {one["audio_sha256"] for rows in files.values() for one in rows if _is_conflict(one)}
    found: dict[tuple[str, str], list[Review]] = {}
    for one in counting(files):
        if one["audio_sha256"] and one["audio_sha256"] not in open_questions:
            found.setdefault((one["audio_sha256"], one["run"] or ""), []).append(one)
    known: dict[str, Reviewed] = {}
    for (audio, run), rows in sorted(found.items(), key=lambda pair: pair[0]):
        is_whole = any(one["whole"] for one in rows)
        said = frozenset(name for one in rows if (name := _said(one, is_whole, alphabet)))
        probability = max((one["probability"] for one in rows if one["probability"]), default=1.0)
        new = Reviewed(run, rows[0]["utterance_id"], said, is_whole, probability)
        if audio not in known or (is_whole and not known[audio].whole):
            known[audio] = new
    return known


def _is_conflict(review: Review) -> bool:
    return (review["error"] or "").startswith(CONFLICT)


def _said(review: Review, is_whole: bool, alphabet: Alphabet) -> str | None:
    """Return a name that was said; what a reviewer adds only counts where the utterance was heard whole."""
    name = review["entity"] if review["verdict"] == "accepted" else review["correction"] if is_whole else None
    return normalise(name, alphabet) if name else None


@dataclasses.dataclass(frozen=True)
class Replay:
    """Makes units; loaded once.

    strategies: as the run has them, at their default level
    lists:      the run's
    """

    strategies: Sequence[Strategy]
    reader: ContextReader
    lists: EntitySource

    def units(
        self, scalars: Mapping[str, Any], heard: Emissions, known: Reviewed, drawn: Mapping[str, Drawn]
    ) -> Iterator[Unit]:
        """Yield a unit for every strategy that could say something; ``drawn``: by strategy, none is ``Drawn()``."""
        entities = self.lists.of(scalars["utterance_id"], scalars["entities"])
        said = {entities.by_text[name].text for name in known.said if name in entities.by_text}
        context, taken = self.reader.of(heard), set[str]()
        for strategy in self.strategies:
            if not len(entities) or not strategy.can_say(heard, len(entities)):
                continue
            did = drawn.get(strategy.name, Drawn())
            first, candidates = _levels(strategy, heard, entities, said)
            widest = LEVELS if known.whole else did.level
            at_least = KNOWN if known.whole and not did.at_least[-1] else did.at_least
            own = [level for name, level in first.items() if name not in taken and level <= widest]
            yield Unit(
                scalars["utterance_id"], strategy.name, scalars["speaker"] or "", scalars["tenant"] or "",
                scalars["session"] or "", context, widest, at_least,
                tuple(own.count(level) for level in range(1, LEVELS + 1)), candidates, known.whole,
                len(said) if known.whole else 0, 1.0 / known.probability,
            )  # fmt: skip
            taken |= {name for name, level in first.items() if level <= DEFAULT}


def _levels(
    strategy: Strategy, heard: Emissions, entities: EntityList, said: Iterable[str]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Return the level that finds each said name first, and how many entities each level finds."""
    first: dict[str, int] = {}
    counts = []
    for level in range(1, LEVELS + 1):
        indices = strategy.at(level).select(heard, entities)
        found = np.zeros(0, np.int32) if indices is None else indices
        counts.append(len(found))
        names = {entity.text for entity in entities.at(found.tolist())} if said else set()
        for name in said:
            if name in names:
                first.setdefault(name, level)
    return first, tuple(counts)
