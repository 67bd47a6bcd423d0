"""What steps keep and how long they take is counted where somebody asks for it, and nowhere else."""

import threading

import pytest

from pipeline.census import STEPS, Census, counting, join_counts, step
from pipeline.retrieval.shortlist import STRATEGIES
from pipeline.runs.counts import StageCount, Tally
from pipeline.runs.record import candidate_facts


def keep(name: str, *kept: int | None) -> None:
    for count in kept:
        with step(name) as one:
            one.kept = count


def test_steps_are_counted_inside_and_not_outside() -> None:
    keep("shortlist", 7)
    with counting() as census:
        keep("shortlist", *[2] * 19, 40)
        keep("adapter", None)
        with pytest.raises(ValueError, match="broken"), step("searched"):
            raise ValueError("broken")
    keep("shortlist", 7)
    facts = census.facts()
    assert list(facts) == ["shortlist", "adapter"]
    seconds = facts["shortlist"].pop("seconds")
    assert seconds >= 0
    assert facts["shortlist"] == {"utterances": 20, "mean": 3.9, "p95": 2, "max": 40}
    assert list(facts["adapter"]) == ["seconds"]


def test_threads_count_apart() -> None:
    with counting() as census:
        other = threading.Thread(target=keep, args=("listed", 5))
        other.start()
        other.join()
    assert census.facts() == {}


def test_counts_of_batches_and_stages_add_up() -> None:
    tally = Tally()
    for stage, kept in (("encode", (1, 3)), ("encode", (5,)), ("decode", (7,))):
        with counting() as census:
            keep("shortlist", *kept)
        tally.add(stage, StageCount(rows=len(kept), census=census))
    facts = candidate_facts(tally.stages)["shortlist"]
    assert (facts["utterances"], facts["mean"], facts["max"]) == (4, 4.0, 7)
    assert tally.stages["encode"].census.facts()["shortlist"]["utterances"] == 3
    assert Census().facts() == {}


def test_what_every_strategy_keeps_is_shown() -> None:
    assert {one.name for one in STRATEGIES} <= STEPS.keys()


def test_what_another_thread_counted_can_be_joined() -> None:
    found: list[Census] = []

    def work() -> None:
        with counting() as own:
            keep("listed", 5)
        found.append(own)

    other = threading.Thread(target=work)
    other.start()
    other.join()
    join_counts(found[0])  # nobody counts here
    with counting() as census:
        join_counts(found[0])
        keep("listed", 7)
    assert census.steps["listed"].utterances == {5: 1, 7: 1}
