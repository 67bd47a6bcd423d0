"""How far names that the search wrote by itself may be doubted."""

import pytest

from pipeline.calibration.guard import LOST, Doubted, fit_doubts
from pipeline.rescoring.guard import DOUBT

WRONG = [Doubted(-2.0 + 0.5 * at, 0, 1) for at in range(4)]


def right(least: float, count: int = 500) -> list[Doubted]:
    """Names that were said, of log odds from ``least`` upwards."""
    return [Doubted(least + 0.01 * at, 1, 0) for at in range(count)]


def test_the_bound_is_higher_than_the_default_where_even_so_few_right_names_are_lost() -> None:
    found = fit_doubts(right(-0.6), WRONG)
    assert LOST == 0.005
    assert found.bound == pytest.approx(-0.59)  # of 500 two may go; one of them is not seen yet
    assert (found.right, found.lost, found.wrong, found.undone) == (500, 1, 4, 3)


def test_the_bound_is_lower_than_the_default_where_that_loses_more() -> None:
    found = fit_doubts(right(-1.6), WRONG)
    assert found.bound == pytest.approx(-1.58)
    assert (found.lost, found.undone) == (2, 1)


def test_what_may_be_by_chance_leaves_the_default() -> None:
    assert fit_doubts(right(-1.01, 300), WRONG).bound == DOUBT  # one is lost, of which one and a half may go


def test_a_name_that_is_likelier_than_what_else_could_stand_there_is_not_doubted() -> None:
    found = fit_doubts(right(2.0), [*WRONG, Doubted(1.0, 0, 1)])
    assert (found.bound, found.undone, found.wrong) == (0.0, 4, 5)


def test_little_speech_says_nothing() -> None:
    assert fit_doubts(right(-0.6, 199), WRONG).bound is None
    assert fit_doubts([], WRONG).bound is None
