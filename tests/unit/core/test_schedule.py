from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import (
    LONGEST_PAUSE,
    cadence,
    kinds_due,
    most_at_once,
    pause_after,
    visit_period,
    visit_phase,
)
from eagle_logger.core.users import User

FLEET = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0, Kind.PRICE: 300.0, Kind.MESSAGE: 900.0}
NOW = 1_790_000_000.0


def test_a_users_own_interval_wins_over_the_fleets() -> None:
    assert cadence(User("00ce69", {Kind.PRICE: 60.0}), FLEET) == {**FLEET, Kind.PRICE: 60.0}


def test_a_user_never_asked_is_asked_everything_demand_first() -> None:
    assert kinds_due("00ce69", FLEET, {}, NOW) == [
        Kind.DEMAND,
        Kind.SUMMATION,
        Kind.PRICE,
        Kind.MESSAGE,
    ]


def test_what_was_just_asked_is_not_due_again_but_demand_always_is() -> None:
    assert kinds_due("00ce69", FLEET, dict.fromkeys(Kind, NOW), NOW) == [Kind.DEMAND]


@given(cloud_id=st.from_regex(r"[0-9a-f]{6}", fullmatch=True), start=st.integers(0, 10_000))
def test_over_an_hour_each_kind_is_asked_as_often_as_its_interval_says(
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


def test_the_shortest_interval_is_the_visits_period_whatever_kind_it_is() -> None:
    intervals = {**FLEET, Kind.PRICE: 5.0}
    assert visit_period(intervals) == 5.0
    assert kinds_due("00ce69", intervals, dict.fromkeys(Kind, NOW), NOW) == [Kind.PRICE]


def test_phases_spread_the_fleet_over_the_period() -> None:
    phases = [visit_phase(f"{number:06x}", 6.0) for number in range(6000)]
    per_second = [sum(second <= phase < second + 1 for phase in phases) for second in range(6)]
    assert min(per_second) > 850
    assert max(per_second) < 1150


def test_the_first_failure_costs_only_its_turn() -> None:
    assert pause_after(1, 6.0, "00ce69") == 0


@given(failures=st.integers(2, 500), cloud_id=st.from_regex(r"[0-9a-f]{6}", fullmatch=True))
def test_back_off_grows_and_stays_below_its_cap(failures: int, cloud_id: str) -> None:
    pause = pause_after(failures, 6.0, cloud_id)
    assert 0.75 * min(LONGEST_PAUSE, 6.0 * 2 ** min(failures - 2, 16)) <= pause <= LONGEST_PAUSE


@pytest.mark.parametrize("failures", [0, 1, 5])
def test_never_back_before_the_relay_said(failures: int) -> None:
    assert pause_after(failures, 6.0, "00ce69", retry_after=1000.0) == 1000.0


def test_whoever_is_due_in_the_ordinary_course_is_leased() -> None:
    assert most_at_once(30_000, 6.0, 1.2) == 30_000


def test_after_a_stop_the_fleet_comes_back_over_the_interval_not_all_at_once() -> None:
    assert most_at_once(30_000, 6.0, 3600.0) == 7_500
    assert most_at_once(25, 6.0, 3600.0) == 100, "a few homes need no spreading"


@given(users=st.integers(0, 100_000), period=st.floats(1, 3600))
def test_a_fleet_that_is_overdue_is_served_within_its_interval(users: int, period: float) -> None:
    assert most_at_once(users, period, 3600.0) * period >= users


def test_what_was_asked_before_the_clock_was_set_back_is_asked_again() -> None:
    intervals = {Kind.DEMAND: 6.0, Kind.SUMMATION: 240.0}
    now = 1_767_225_600.0
    assert kinds_due("00ce69", intervals, {Kind.SUMMATION: now + 3600}, now) == [
        Kind.DEMAND,
        Kind.SUMMATION,
    ]
    assert kinds_due("00ce69", intervals, {Kind.SUMMATION: now}, now) == [Kind.DEMAND]
