"""What the steps of an utterance keep and how long they take, counted where they work and read by whoever runs them.

    with counting() as census:              # around a batch
        ...
        with step("phonetic") as one:       # deep inside
            found = search()
            one.kept = len(found)

Outside of ``counting`` a step counts nothing. Threads count apart, until ``join_counts``.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

STEPS: Mapping[str, str] = {
    "listed": "entities of the list",
    "phonetic": "of these, plausible by the phones",
    "ranked": "of a large list, probably said",
    "tree": "of a large list, probably said, of what the tree leads to",
    "session": "of these, let in by what was clear earlier in the recording",
    "lexical": "of the list, nearly written by the first pass",
    "memory": "of the list, heard as reviewers confirmed it before",
    "shortlist": "of these together, handed on",
    "adapter": "contextual adapter",
    "attended": "of the shortlist, heard by the adapter and so given to the search",
    "searched": "entities that the search with the list writes",
    "unbiased": "search without the list",
    "doubted": "names of the list in the unbiased transcript that the guard takes out",
    "proposed": "places where the list would change the unbiased transcript",
    "believed": "of these, what the guard lets in",
}
"""Names of the steps, in their order, and what each keeps; those without entities only take time."""


@dataclasses.dataclass
class StepCount:
    """Of one step: how many utterances kept how much, and the processor time in seconds."""

    utterances: dict[int, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def facts(self) -> dict[str, float]:
        """Return mean, 95th percentile and most of what was kept, and the time; only the time of what keeps nothing."""
        facts: dict[str, float] = {"seconds": round(self.seconds, 3)}
        total = sum(self.utterances.values())
        if not total:
            return facts
        values, below, reached = sorted(self.utterances), 0, 0
        for value in values:
            below, reached = below + self.utterances[value], value
            if below >= 0.95 * total:
                break
        mean = sum(value * count for value, count in self.utterances.items()) / total
        return {"utterances": total, "mean": round(mean, 2), "p95": reached, "max": values[-1], **facts}


@dataclasses.dataclass
class Census:
    """The counts of every step that did something."""

    steps: dict[str, StepCount] = dataclasses.field(default_factory=dict)

    def add(self, name: str, kept: int | None, seconds: float) -> None:
        """Count one utterance at one step."""
        count = self.steps.setdefault(name, StepCount())
        count.seconds += seconds
        if kept is not None:
            count.utterances[kept] = count.utterances.get(kept, 0) + 1

    def join(self, other: "Census") -> None:
        """Add what another has counted."""
        for name, theirs in other.steps.items():
            ours = self.steps.setdefault(name, StepCount())
            ours.seconds += theirs.seconds
            for kept, times in theirs.utterances.items():
                ours.utterances[kept] = ours.utterances.get(kept, 0) + times

    def facts(self) -> dict[str, dict[str, float]]:
        """Return the facts of each step, in the order of the steps."""
        return {name: self.steps[name].facts() for name in STEPS if name in self.steps}


class _Here(threading.local):
    census: Census | None = None


_HERE = _Here()


@contextlib.contextmanager
def counting() -> Iterator[Census]:
    """Count what this thread does inside."""
    before, census = _HERE.census, Census()
    _HERE.census = census
    try:
        yield census
    finally:
        _HERE.census = before


def join_counts(census: Census) -> None:
    """Count here what another thread has counted."""
    if _HERE.census is not None:
        _HERE.census.join(census)


@dataclasses.dataclass
class Step:
    """What a step is told: how much it kept, if it keeps anything."""

    kept: int | None = None


@contextlib.contextmanager
def step(name: str) -> Iterator[Step]:
    """Count a step, one of STEPS, of one utterance; one that raises is not counted."""
    one, began = Step(), time.thread_time()
    yield one
    if _HERE.census is not None:
        _HERE.census.add(name, one.kept, time.thread_time() - began)
