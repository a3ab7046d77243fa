from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import (
    LONGEST_BACKOFF_S,
    LONGEST_PAUSE_S,
    LONGEST_SPREAD_OF_NEW_USERS_S,
    Grid,
    bounded_pause,
    first_turn_after,
    intervals_of,
    kinds_due,
    missed_turns,
    most_per_tick,
    next_due,
    pause_after_failures,
    visit_period,
    visit_phase,
)
from eagle_logger.core.users import User

FLEET = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 300.0, Kind.MESSAGE: 900.0}
NOW = 1_790_000_000.0

cloud_ids = st.from_regex(r"[0-9a-f]{6}", fullmatch=True)
moments = st.floats(0, 4e9)
grids = st.builds(Grid, st.floats(1, 1e6), st.floats(0, 1e6))


def test_a_users_own_interval_wins_over_the_fleets() -> None:
    assert intervals_of(User("00ce69", {Kind.PRICE: 60.0}), FLEET) == {**FLEET, Kind.PRICE: 60.0}


def test_a_new_user_is_asked_for_every_kind_demand_first() -> None:
    assert kinds_due("00ce69", FLEET, {}, NOW) == [
        Kind.DEMAND,
        Kind.SUMMATION,
        Kind.PRICE,
        Kind.MESSAGE,
    ]


def test_of_the_kinds_that_were_just_asked_for_only_demand_is_due_again() -> None:
    assert kinds_due("00ce69", FLEET, dict.fromkeys(Kind, NOW), NOW) == [Kind.DEMAND]


@given(cloud_id=cloud_ids, start=st.integers(0, 10_000))
def test_over_an_hour_each_kind_is_asked_for_as_often_as_its_interval_says(
    cloud_id: str, start: int
) -> None:
    asked: dict[Kind, float] = {}
    counts = dict.fromkeys(Kind, 0)
    for turn in range(600):
        now = NOW + start + turn * 6.0
        for kind in kinds_due(cloud_id, FLEET, asked, now):
            asked[kind] = now
            counts[kind] += 1
    assert counts[Kind.DEMAND] == 600
    for kind, per_hour in ((Kind.SUMMATION, 15), (Kind.PRICE, 12), (Kind.MESSAGE, 4)):
        assert per_hour <= counts[kind] <= per_hour + 1


def test_the_shortest_interval_is_the_period_of_visits_whatever_its_kind() -> None:
    intervals = {**FLEET, Kind.PRICE: 5.0}
    assert visit_period(intervals) == 5.0
    assert kinds_due("00ce69", intervals, dict.fromkeys(Kind, NOW), NOW) == [Kind.PRICE]


def test_a_kind_that_was_asked_for_before_the_clock_was_set_back_is_due() -> None:
    intervals = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0}
    now = 1_767_225_600.0
    assert kinds_due("00ce69", intervals, {Kind.SUMMATION: now + 3600}, now) == [
        Kind.DEMAND,
        Kind.SUMMATION,
    ]
    assert kinds_due("00ce69", intervals, {Kind.SUMMATION: now}, now) == [Kind.DEMAND]


def test_phases_spread_the_fleet_over_the_period() -> None:
    phases = [visit_phase(f"{number:06x}", 6.0) for number in range(6000)]
    per_second = [sum(second <= phase < second + 1 for phase in phases) for second in range(6)]
    assert min(per_second) > 850
    assert max(per_second) < 1150


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


def test_a_turn_in_the_future_was_not_missed() -> None:
    assert missed_turns(100.0, 50.0, Grid(6.0, 0.0)) == 0


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


@pytest.mark.parametrize("period", [0.0, -6.0, 1e-9, math.inf, math.nan])
def test_a_period_that_no_grid_can_have_is_refused(period: float) -> None:
    with pytest.raises(ValueError, match="period"):
        Grid(period, 0.0)


def test_the_first_failure_costs_only_the_turn() -> None:
    assert pause_after_failures(1, 6.0, "00ce69") == 0


@given(failures=st.integers(2, 500), cloud_id=cloud_ids)
def test_back_off_grows_and_stays_below_its_cap(failures: int, cloud_id: str) -> None:
    pause = pause_after_failures(failures, 6.0, cloud_id)
    unspread = min(LONGEST_BACKOFF_S, 6.0 * 2 ** min(failures - 2, 16))
    assert 0.75 * unspread <= pause <= LONGEST_BACKOFF_S


@pytest.mark.parametrize("failures", [0, 1, 5])
def test_a_pause_is_never_shorter_than_the_relay_asked_for(failures: int) -> None:
    assert pause_after_failures(failures, 6.0, "00ce69", retry_after=1000.0) == 1000.0


@pytest.mark.parametrize(
    ("asked", "bounded"),
    [
        (0.0, 0.0),
        (-5.0, 0.0),
        (300.0, 300.0),
        (math.inf, LONGEST_PAUSE_S),
        (1e308, LONGEST_PAUSE_S),
        (math.nan, 0.0),
    ],
)
def test_no_pause_that_a_relay_asks_for_breaks_the_arithmetic(asked: float, bounded: float) -> None:
    assert bounded_pause(asked) == bounded


def test_ordinarily_every_user_that_is_due_may_be_leased() -> None:
    assert most_per_tick(30_000, 6.0, 1.2) == 30_000


def test_after_a_stop_the_fleet_comes_back_over_the_interval_not_all_at_once() -> None:
    assert most_per_tick(30_000, 6.0, 3600.0) == 7_500
    assert most_per_tick(25, 6.0, 3600.0) == 100, "a few homes need no spreading"


@given(users=st.integers(0, 100_000), period=st.floats(1, 3600))
def test_a_fleet_that_is_overdue_is_served_within_its_interval(users: int, period: float) -> None:
    assert most_per_tick(users, period, 3600.0) * period >= users


def test_a_user_that_is_added_alone_is_due_at_once() -> None:
    assert first_turn_after("00ce69", 1) == 0.0


def test_many_users_that_are_added_together_fall_due_evenly_spread() -> None:
    ids = [f"{number:06x}" for number in range(30_000)]
    offsets = [first_turn_after(cloud_id, len(ids)) for cloud_id in ids]
    assert min(offsets) >= 0
    assert max(offsets) < LONGEST_SPREAD_OF_NEW_USERS_S
    per_tenth = Counter(int(offset * 10) for offset in offsets)
    assert max(per_tenth.values()) < 1.3 * 30_000 / 60
