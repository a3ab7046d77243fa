from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eagle_logger.core.cadence import LONGEST_PAUSE, Grid, bounded_pause, missed_turns, next_due

moments = st.floats(0, 4e9)
grids = st.builds(Grid, st.floats(1, 1e6), st.floats(0, 1e6))


@given(moments, grids)
@example(1_767_225_600.0, Grid(6.0, 0.0))
@example(0.3, Grid(0.1, 0.0))
def test_the_next_turn_is_the_first_point_after_now(now: float, grid: Grid) -> None:
    due = next_due(now, grid)
    assert due > now
    assert due - now <= grid.period * (1 + 1e-6)
    assert math.isclose(
        (due - grid.phase) / grid.period, round((due - grid.phase) / grid.period), abs_tol=1e-6
    )


@given(moments, grids)
def test_one_turn_after_another_misses_nothing_and_skips_nothing(now: float, grid: Grid) -> None:
    first = next_due(now, grid)
    second = next_due(first, grid)
    assert second - first == pytest.approx(grid.period)
    assert missed_turns(first, first, grid) == 0
    assert missed_turns(first, math.nextafter(second, 0), grid) == 0
    assert missed_turns(first, second, grid) == 1


@given(moments, st.floats(0, 1e6), st.floats(0, 1e6), grids)
def test_missed_turns_add_up(due: float, wait: float, more: float, grid: Grid) -> None:
    middle = next_due(due + wait, grid)
    end = middle + more
    assert missed_turns(due, middle, grid) + missed_turns(middle, end, grid) == missed_turns(
        due, end, grid
    )


def test_a_turn_that_lies_ahead_was_not_missed() -> None:
    assert missed_turns(100.0, 50.0, Grid(6.0, 0.0)) == 0


@pytest.mark.parametrize("period", [0.0, -6.0, 1e-9, math.inf, math.nan])
def test_a_period_without_sense_is_refused(period: float) -> None:
    with pytest.raises(ValueError, match="period"):
        Grid(period, 0.0)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (0.0, 0.0),
        (-5.0, 0.0),
        (300.0, 300.0),
        (math.inf, LONGEST_PAUSE),
        (1e308, LONGEST_PAUSE),
        (math.nan, 0.0),
    ],
)
def test_no_wish_of_a_relay_breaks_the_arithmetic(asked: float, kept: float) -> None:
    assert bounded_pause(asked) == kept


@pytest.mark.parametrize(
    ("due", "now", "missed"),
    [
        (12.0, 17.9, 0),
        (12.0, 18.0, 1),
        (12.0, 30.0, 3),
        (13.0, 18.0, 0),
        (13.0, 23.9, 0),
        (13.0, 24.0, 1),
    ],
)
def test_a_visit_between_two_points_stands_for_the_later_one(
    due: float, now: float, missed: int
) -> None:
    assert missed_turns(due, now, Grid(6.0, 0.0)) == missed
