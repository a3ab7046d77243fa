from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.overload import (
    TOO_MUCH_AFTER_S,
    VisitSample,
    most_leased,
    visited_every,
    with_sample,
)
from eagle_logger.core.schedule import FEWEST_PER_TICK

LEASE = 20.0


def seconds(
    paces: Iterable[float], *, visit: float = 0.5, missed: float = 0.0, overdue: float = 9.0
) -> tuple[VisitSample, ...]:
    """A sample a second. Each visit takes `visit` seconds and has missed so many turns."""
    samples, visits = with_sample((), VisitSample(100.0, 0, 0, 0.0, overdue)), 0
    for second, pace in enumerate(paces, 1):
        visits += round(pace)
        sample = VisitSample(
            100.0 + second, visits, round(visits * missed), visits * visit, overdue
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
    assert len(samples) <= TOO_MUCH_AFTER_S + 2
    for earlier in (samples[-1]._replace(at=5.0), samples[-1]._replace(visits=3)):
        assert with_sample(samples, earlier) == (earlier,)


def test_too_much_is_how_many_turns_pass_for_each_visit() -> None:
    assert visited_every(seconds([1000] * 40, missed=2.0), 6.0) == pytest.approx(18.0)
    assert visited_every(seconds([1000] * 40, missed=0.1), 15.0) == pytest.approx(16.5)


@pytest.mark.parametrize(
    "samples",
    [
        (),
        seconds([1000] * 29, missed=2.0),
        seconds([1000] * 40, missed=0.04),
        seconds([0] * 40, missed=2.0),
        seconds([1000] * 40, missed=2.0, overdue=1.9),
    ],
    ids=["nothing known", "too short", "a little", "no visits", "nobody late"],
)
def test_a_system_that_keeps_up_has_not_too_much(samples: tuple[VisitSample, ...]) -> None:
    assert visited_every(samples, 6.0) == 6.0


def test_one_moment_without_an_overdue_user_is_not_too_much() -> None:
    samples = list(seconds([1000] * 40, missed=2.0))
    samples[-10] = samples[-10]._replace(overdue=0.3)
    assert visited_every(samples, 6.0) == 6.0
