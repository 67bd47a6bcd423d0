"""What the retrieval benchmark counts: the same text counts the same, whether a list was there or not."""

import numpy as np
import pytest

from benchmarks.retrieval import Task, counted
from pipeline.scoring.score import Lists, Reference
from pipeline.tuning.evaluation import Labelled, LabelledSet
from pipeline.types.emissions import Emissions, SparseLogProbs
from pipeline.types.entity import Entity, EntityList

HEARD = Emissions(SparseLogProbs(np.zeros((0, 1), np.int16), np.zeros((0, 1), np.float16)))
CATALOG = EntityList(tuple(Entity(name, name) for name in ("alma", "san jose", "jose", "uncas")))
SAID = {"a-1": "uncas met alma", "a-2": "he went to san jose", "a-3": "uncas was there"}


def task() -> Task:
    references = [Reference(name, text, duration_seconds=1200.0) for name, text in SAID.items()]
    corpus = LabelledSet(tuple(Labelled(one, HEARD) for one in references), Lists())
    names = {"a-1": frozenset({"uncas", "alma"}), "a-2": frozenset({"san jose"}), "a-3": frozenset({"uncas"})}
    return Task(corpus, CATALOG, names)


def test_false_names_count_with_a_list_and_without() -> None:
    texts = {"a-1": "unc met alma", "a-2": "he went to alma jose", "a-3": "uncas was there"}
    without = counted(task(), {name: (text, []) for name, text in texts.items()})
    marked = counted(task(), {name: (text, ["alma"]) for name, text in texts.items()})
    assert (without["recall"], without["written falsely"], without["falsely / h"]) == (0.5, 1, 1.0)
    assert without["F1 %"] == marked["F1 %"] == pytest.approx(100 * 4 / 7)
    assert (without["marked falsely"], marked["marked falsely"]) == (0, 2)
    assert (without["repeated"], without["of these found"]) == (1, 1)
    assert without["WER %"] == pytest.approx(100 * 2 / 11)
    assert without["U-WER %"] == pytest.approx(0.0)


def test_a_longer_name_is_not_also_a_shorter_one() -> None:
    texts = {"a-1": "uncas met san jose", "a-2": "he went to san jose", "a-3": "was there"}
    assert counted(task(), {name: (text, []) for name, text in texts.items()})["written falsely"] == 1
