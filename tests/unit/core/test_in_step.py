"""The turns of users in step, over whole traces of their meters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.polling import PLAIN_PERIOD_S, Polled, poll
from benchmarks.traces import MeterHabits, made_up_trace, random_trace
from eagle_logger.core.in_step import Turns, is_followed, next_turn
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm
from eagle_logger.core.schedule import Grid, next_due
from eagle_logger.simulator.relay.trace import Trace, TracedReading

PLAIN = Grid(6.0, 1.0)
FOLLOWED = Rhythm(
    seen=1008,
    asked=1013.0,
    gaps=(8,) * 8,
    period=8.0,
    beat=1008.0,
    delay=3.6,
    spread=0.6,
    delays=80,
    fits=2,
    credit=2.0,
)
"""A meter whose next reading is expected at 1019.6."""


def in_step(trace: Trace, seed: int = 0, period: float = PLAIN_PERIOD_S) -> Polled:
    return poll(trace, period, in_step=True, seed=seed)


def of_habits(habits: MeterHabits, seed: int = 0, readings: int = 1500) -> Polled:
    return in_step(made_up_trace(habits, seed, readings), seed)


def first_turn(rhythm: Rhythm, now: float, plain: Grid = PLAIN) -> float:
    grid, wait = next_turn(rhythm, plain, now, 1.0)
    return next_due(now + wait, grid)


def test_a_user_falls_due_shortly_after_its_reading_should_be_there() -> None:
    assert first_turn(FOLLOWED, 1013.3) == pytest.approx(1019.6 + 1.1, abs=0.7)


def test_if_the_reading_is_not_there_the_user_falls_due_once_more_before_the_next() -> None:
    late = FOLLOWED._replace(asked=1021.0, credit=1.0)
    assert 1022 < first_turn(late, 1021.3) < 1019.6 + 8


def test_a_long_period_leaves_room_for_a_third_request_before_the_next_reading() -> None:
    slow = FOLLOWED._replace(period=30.0, beat=1008.0, asked=1015.0)
    asked, turns = 1015.0, []
    while asked < 1008 + 2 * 30:
        asked = first_turn(slow._replace(asked=asked, credit=2.0), asked + 0.3)
        turns.append(asked)
    in_one_beat = [turn for turn in turns if 1041.6 <= turn < 1071.6]
    assert len(in_one_beat) == 3
    assert in_one_beat[-1] > 1071.6 - 3


def test_a_drift_moves_the_turns_of_later_beats() -> None:
    drifting = FOLLOWED._replace(drift=0.1)
    assert first_turn(drifting, 1013.3) - first_turn(FOLLOWED, 1013.3) == pytest.approx(0.1)


def test_a_gateway_that_shows_nothing_new_is_asked_on_its_plain_grid_again() -> None:
    grid, wait = next_turn(FOLLOWED._replace(asked=1100.0), PLAIN, 1100.3, 1.0)
    assert (grid, wait) == (PLAIN, 0.0)


def test_an_overdrawn_user_waits_as_long_as_its_plain_grid_would_have_it_wait() -> None:
    overdrawn = FOLLOWED._replace(credit=-1.0, asked=1021.0)
    assert first_turn(overdrawn, 1021.3) >= 1021.0 + 6 / 1.04


@pytest.mark.parametrize(
    "rhythm",
    [
        NO_RHYTHM,
        FOLLOWED._replace(fits=1),
        FOLLOWED._replace(delays=2),
        FOLLOWED._replace(spread=3.0),
        FOLLOWED._replace(period=5.0),
        FOLLOWED._replace(period=0.0),
    ],
)
def test_without_a_rhythm_to_follow_the_plain_grid_holds(rhythm: Rhythm) -> None:
    assert not is_followed(rhythm, 6.0, 1.0)
    assert next_turn(rhythm, PLAIN, 1013.3, 1.0) == (PLAIN, 0.0)


def test_a_user_that_may_not_follow_its_meter_keeps_its_plain_grid() -> None:
    assert Turns(PLAIN, may_follow=False).after(FOLLOWED, 1013.3) == (PLAIN, 0.0)
    assert Turns(PLAIN, may_follow=True).after(FOLLOWED, 1013.3) != (PLAIN, 0.0)


def test_under_a_fast_clock_no_rhythm_can_be_followed() -> None:
    assert not is_followed(FOLLOWED, 6.0, 360.0)


@pytest.mark.parametrize("ahead", [3600.0, 86400.0])
def test_a_store_whose_clock_is_set_back_makes_nobody_wait(ahead: float) -> None:
    rhythm = FOLLOWED._replace(asked=1013.0 + ahead, delay=3.6 + ahead)
    assert first_turn(rhythm, 1013.3) <= 1013.3 + 2 * 6


@pytest.mark.parametrize("slips", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_most_readings_are_caught_soon_and_with_few_requests(slips: bool, seed: int) -> None:
    """The bar of a longer trace, with room for one of this length."""
    jittery = of_habits(MeterHabits(slips=slips), seed)
    assert jittery.caught >= 0.99
    assert jittery.requests_per_reading <= 1.24
    assert jittery.mean_age <= 2.4
    steady = of_habits(MeterHabits(slips=slips, jitter=False), seed)
    assert steady.caught >= 0.994
    assert steady.requests_per_reading <= 1.2
    assert steady.mean_age <= 1.8


@pytest.mark.parametrize("period", [8.0, 10.0, 15.0, 30.0, 60.0])
def test_any_period_from_the_plain_one_on_is_followed(period: float) -> None:
    polled = of_habits(MeterHabits(period=period), readings=400)
    assert polled.in_step > 0.8 * len(polled.moments)
    assert polled.caught >= 0.985
    assert polled.requests_per_reading <= 1.6


@pytest.mark.parametrize(
    "habits",
    [
        MeterHabits(clock_set=((2000.0, 3600.0), (6000.0, -86400.0), (9000.0, 63 * 86400.0))),
        MeterHabits(drift=0.0002),
        MeterHabits(drift=-0.0002),
        MeterHabits(lost=0.15),
    ],
    ids=str,
)
def test_a_clock_that_is_set_or_drifts_and_lost_beats_are_followed(habits: MeterHabits) -> None:
    polled = of_habits(habits)
    assert polled.in_step > 0.9 * len(polled.moments)
    assert polled.caught >= 0.98


@pytest.mark.parametrize("jitter", [True, False])
@pytest.mark.parametrize("drift", [0.001, -0.001, 0.005, -0.005, 0.01, -0.01, 0.05, -0.05])
def test_a_drifting_clock_costs_a_few_readings_while_it_is_learnt_and_then_none(
    drift: float, jitter: bool
) -> None:
    trace = made_up_trace(MeterHabits(jitter=jitter, drift=drift), 5, 2000)
    polled, plain = in_step(trace), poll(trace, PLAIN_PERIOD_S, in_step=False)
    assert len(polled.ages) >= len(plain.ages) - 10
    assert polled.requests_per_reading <= plain.requests_per_reading * 1.05


def test_a_period_that_changes_is_found_again() -> None:
    readings, begins = list[TracedReading](), 0.0
    for period in (8.0, 30.0, 10.0, 60.0, 8.0):
        part = made_up_trace(MeterHabits(period=period), 3, 150).readings
        move = begins - part[0].shows
        readings += [TracedReading(made + move, shows + move) for made, shows in part]
        begins = readings[-1].shows + period
    polled = in_step(Trace.of(readings))
    assert polled.in_step > 0.75 * len(polled.moments)
    assert polled.caught >= 0.94


def test_a_frozen_gateway_is_asked_as_on_the_plain_grid() -> None:
    spoken = made_up_trace(MeterHabits(), 1, 100).readings
    thawed = TracedReading(spoken[-1].made + 7200, spoken[-1].shows + 7200)
    polled = in_step(Trace.of([*spoken, thawed]))
    assert polled.beside_plain == pytest.approx(1.0, abs=0.05)


habits = st.builds(
    MeterHabits,
    period=st.floats(4, 90),
    jitter=st.booleans(),
    slips=st.booleans(),
    early_or_late=st.floats(0, 1),
    lost=st.floats(0, 0.7),
    drift=st.floats(-0.02, 0.02),
)
traces = st.one_of(
    st.builds(made_up_trace, habits, st.integers(0, 99), st.just(250)),
    st.builds(random_trace, st.integers(0, 99), st.just(250), st.floats(2, 60)),
)


@settings(max_examples=60, deadline=None)
@given(traces, st.sampled_from([2.0, 4.0, 6.0, 8.0, 15.0]), st.integers(0, 99))
def test_no_gateway_is_ever_asked_too_often(trace: Trace, period: float, seed: int) -> None:
    polled = in_step(trace, seed, period)
    assert polled.closest >= 1.0
    ahead = 3 + 1  # the credit that a user begins with, and the request at the end of the trace
    assert len(polled.moments) <= ahead + 1.05 * len(polled.moments) / polled.beside_plain
