"""What is built of a list is built once, by whichever thread comes first, and others do not wait for it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.retrieval.kept import Kept

THREADS = 8


def test_threads_that_ask_for_one_thing_have_it_built_once() -> None:
    kept, owner, built = Kept[list[int]](4), object(), []
    together = threading.Barrier(THREADS)

    def build() -> list[int]:
        built.append(1)
        threading.Event().wait(0.05)  # long enough for the others to come
        return [1]

    def ask(_: int) -> list[int]:
        together.wait(10)
        return kept.of(owner, build)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, range(THREADS)))
    assert len(built) == 1
    assert all(one is found[0] for one in found)


def test_threads_with_other_owners_build_at_the_same_time() -> None:
    kept, meet = Kept[int](4), threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:  # each build waits for the other one
        found = list(pool.map(lambda owner: kept.of(owner, lambda: meet.wait(10)), [object(), object()]))
    assert sorted(found) == [0, 1]


def test_the_last_are_kept_by_object_and_key() -> None:
    kept, first, equal = Kept[str](2), ["a"], ["a"]
    assert kept.of(first, lambda: "one") == "one"
    assert kept.of(equal, lambda: "two") == "two"
    assert kept.of(first, lambda: "never") == "one"
    assert kept.of(first, lambda: "three", key="b") == "three"  # in place of what was not asked for the longest time
    assert kept.of(first, lambda: "never") == "one"
    assert kept.of(equal, lambda: "again") == "again"


def test_what_could_not_be_built_is_built_by_the_next() -> None:
    def fails() -> int:
        raise ValueError("no")

    kept, owner = Kept[int](1), object()
    with pytest.raises(ValueError, match="no"):
        kept.of(owner, fails)
    assert kept.of(owner, lambda: 3) == 3
