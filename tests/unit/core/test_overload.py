from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.overload import (
    CAUGHT_UP_AFTER_S,
    LOAD_BESIDE_MEAN,
    MEASURED_OVER_S,
    VisitSample,
    most_leased,
    most_to_keep_load_even,
    visited_every,
    with_sample,
)
from eagle_logger.core.schedule import FEWEST_PER_TICK

LEASE = 20.0


def seconds(
    paces: Iterable[float],
    *,
    visit: float = 0.5,
    missed: float = 0.0,
    late: float = 9.0,
    later: float = 0.0,
    tick: float = 1.0,
) -> tuple[VisitSample, ...]:
    """A sample at each tick. Each visit takes `visit` seconds, has missed so many turns, and is
    `late`, by `later` seconds more with every tick."""
    samples = with_sample((), VisitSample(100.0, 0, 0, 0.0, 0.0))
    visits, late_seconds = 0, 0.0
    for second, pace in enumerate(paces, 1):
        visits += round(pace)
        late_seconds += round(pace) * (late + later * second)
        sample = VisitSample(
            100.0 + second * tick, visits, round(visits * missed), visits * visit, late_seconds
        )
        samples = with_sample(samples, sample)
    return samples


def test_as_many_are_leased_as_the_workers_visit_within_the_wait_and_the_visit() -> None:
    assert most_leased(seconds([1000] * 20), LEASE, 5000) == 1000 * (3.0 + 0.5)
    assert most_leased(seconds([1000] * 20), 2 * LEASE, 5000) == 1000 * (6.0 + 0.5)


def test_an_ordinary_second_is_leased_before_the_first_visit() -> None:
    assert most_leased((), LEASE, 5000) == 5000
    assert most_leased(seconds([]), LEASE, 5000) == 5000
    assert most_leased(seconds([0] * 20), LEASE, 4.2) == FEWEST_PER_TICK
    at_once = seconds([300], tick=0.001)
    assert most_leased(at_once, LEASE, 5000) == 5000, "two ticks at once show no pace"


def test_slow_visits_do_not_count_as_waiting_but_hanging_ones_are_not_believed() -> None:
    slow = most_leased(seconds([1000] * 20, visit=4.0), LEASE, 5000)
    assert slow == 1000 * (3.0 + 4.0)
    assert most_leased(seconds([1000] * 20, visit=60.0), LEASE, 5000) == 1000 * (3.0 + 5.0)


def test_a_pace_that_grows_or_stands_still_for_a_moment_is_followed() -> None:
    grown = most_leased(seconds([10] * 20 + [1000] * 3), LEASE, 5000)
    assert grown == 1000 * 3.5
    stood_still = most_leased(seconds([1000] * 20 + [0] * 4), LEASE, 5000)
    assert stood_still == 600 * 3.5


def test_a_pace_that_falls_is_followed_within_ten_seconds() -> None:
    assert most_leased(seconds([1000] * 20 + [100] * 10), LEASE, 5000) == 100 * 3.5


@given(
    st.lists(st.floats(0, 1e5), max_size=60),
    st.floats(0.01, 1e5),
    st.floats(0, 1e4),
    st.floats(0, 1e6),
)
def test_some_may_always_be_leased(
    paces: list[float], lease: float, visit: float, ordinary: float
) -> None:
    assert most_leased(seconds(paces, visit=visit), lease, ordinary) >= FEWEST_PER_TICK


def test_samples_are_few_and_begin_again_when_clock_or_counters_go_back() -> None:
    samples = seconds([1000] * 500)
    assert len(samples) <= MEASURED_OVER_S + CAUGHT_UP_AFTER_S + 2
    last = samples[-1]
    for earlier in (last._replace(at=5.0), last._replace(at=last.at + 1, visits=3)):
        assert with_sample(samples, earlier) == (earlier,)


def test_a_tick_that_another_has_overtaken_is_left_out() -> None:
    samples = seconds([1000] * 9)
    overtaken = samples[-1]._replace(at=samples[-1].at - 0.3, visits=samples[-1].visits - 200)
    assert with_sample(samples, overtaken) == samples


def test_too_much_is_how_many_turns_pass_for_each_visit() -> None:
    assert visited_every(seconds([1000] * 99, missed=2.0), 6.0) == pytest.approx(18.0)
    assert visited_every(seconds([1000] * 99, missed=0.1), 15.0) == pytest.approx(16.5)


@given(st.floats(0.5, 3.0))
def test_ticks_that_are_not_a_second_apart_change_nothing(tick: float) -> None:
    samples = seconds([1000] * 300, missed=2.0, tick=tick)
    assert visited_every(samples, 6.0) == pytest.approx(18.0)


def test_visits_that_become_later_are_as_much_further_apart() -> None:
    """With a fifth more than fits, a user is visited every 7.2 s. It becomes 1.2 s later each
    time, and then a turn passes."""
    growing = seconds([1000] * 99, later=1.2 / 7.2)
    assert visited_every(growing, 6.0) == pytest.approx(7.2)
    assert visited_every(seconds([1000] * 99, missed=0.2), 6.0) == pytest.approx(7.2)


@pytest.mark.parametrize(
    "samples",
    [
        (),
        seconds([1000] * 89, missed=2.0),
        seconds([1000] * 99, missed=0.09),
        seconds([0] * 99),
        seconds([1000] * 50 + [0] * 10 + [1000] * 40, missed=2.0),
        seconds([0] * 10 + [1000] * 80, missed=2.0),
        seconds([1000] * 80 + [0] * 10, missed=2.0),
    ],
    ids=[
        *("nothing known", "too short", "a little", "no visits"),
        *("stood still", "stood still at first", "stands still"),
    ],
)
def test_a_system_that_keeps_up_has_not_too_much(samples: tuple[VisitSample, ...]) -> None:
    assert visited_every(samples, 6.0) == 6.0


@given(
    st.lists(st.sampled_from([0, 1, 1000]), min_size=90, max_size=120),
    st.floats(0, 1000),
    st.floats(-1e4, 1e4),
)
def test_it_is_never_less_than_the_period_nor_endless(
    paces: list[int], missed: float, later: float
) -> None:
    samples = seconds(paces, missed=missed, later=later)
    assert 6.0 <= visited_every(samples, 6.0) < math.inf


def test_meters_that_all_speak_at_one_moment_make_no_stampede() -> None:
    homes, period = 6000, 8
    samples = with_sample((), VisitSample(0.0, 0, 0, 0.0, 0.0))
    due, visits, by_second = [1.0] * homes, 0, list[int]()
    for second in range(1, 200):
        waiting = sorted(moment for moment in due if moment <= second)
        overdue = second - waiting[0] if waiting else 0.0
        most = most_to_keep_load_even(samples, overdue, homes)
        served = min(most, len(waiting))
        visits += served
        next_beat = float(period * (second // period + 1) + 1)
        due = [moment for moment in due if moment > second] + waiting[served:]
        due += [next_beat] * served
        by_second.append(served)
        samples = with_sample(samples, VisitSample(float(second), visits, 0, 0.0, 0.0))
    settled = by_second[80:]
    assert max(settled) <= LOAD_BESIDE_MEAN * homes / period * 1.05
    assert sum(settled) / len(settled) >= 0.95 * homes / period, "every beat is asked for"


def test_users_that_are_long_overdue_are_not_held_back() -> None:
    calm = seconds([1000] * 40)
    assert most_to_keep_load_even(calm, 0.0, 5000) == 1500
    assert most_to_keep_load_even(calm, 7.0, 5000) == 5000
    assert most_to_keep_load_even(seconds([1000] * 5), 0.0, 5000) == 5000, "no mean yet"
    assert most_to_keep_load_even(seconds([0] * 40), 0.0, 5000) == FEWEST_PER_TICK
