"""The estimate of a meter's rhythm, from replies alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traces import MeterHabits, made_up_trace
from eagle_logger.core.rhythm import (
    GAPS_KEPT,
    MOST_CREDIT,
    MOST_DRIFT,
    NO_RHYTHM,
    Rhythm,
    after_reply,
    after_request,
    period_of,
)

PLAIN = 6.0


def after_replies(replies: Iterable[tuple[float, int | None]]) -> Rhythm:
    rhythm = NO_RHYTHM
    for asked, newest in replies:
        rhythm = after_request(after_reply(rhythm, newest, asked, 0.2), asked, PLAIN)
    return rhythm


def replies_of(period: int, delay: float, asks: int, ahead: int = 0) -> Iterator[tuple[float, int]]:
    """The replies of a gateway that shows each reading after this delay, asked every 6 s."""
    for number in range(asks):
        asked = 1000 * period + 6.0 * number + 0.7
        made = period * int((asked - delay) // period)
        yield asked, made + ahead


@pytest.mark.parametrize(
    ("gaps", "period"),
    [
        ((8, 8, 8, 8, 8), 8.0),
        ((7, 9, 8, 16, 8), 8.0),
        ((8, 24, 8, 8, 16), 8.0),
        ((15, 15, 30, 15, 15), 15.0),
        ((8, 8, 8, 10, 10, 10, 10, 10), 10.0),
        ((8, 8, 8), None),
        ((5, 31, 12, 77, 20, 44, 9, 63), None),
        ((), None),
    ],
)
def test_a_period_explains_the_gaps_or_there_is_none(
    gaps: tuple[int, ...], period: float | None
) -> None:
    assert period_of(gaps) == (period and pytest.approx(period, abs=0.5))


def test_a_rhythm_is_known_after_a_dozen_readings() -> None:
    rhythm = after_replies(replies_of(8, 3.6, asks=16))
    assert rhythm.period == pytest.approx(8, abs=0.3)
    assert rhythm.delay == pytest.approx(3.6, abs=1.5)
    assert 0.3 <= rhythm.spread < 8 / 3


@pytest.mark.parametrize("ahead", [3600, -3600, 86400, 63 * 86400])
def test_a_clock_that_is_set_moves_the_delay_and_nothing_else(ahead: int) -> None:
    right = after_replies(replies_of(8, 3.6, asks=60))
    assert right.seen is not None
    assert right.asked is not None
    wrong = after_reply(right, right.seen + 8 + ahead, right.asked + 7)
    assert wrong.period == right.period
    assert wrong.delay + ahead == pytest.approx(right.delay, abs=2)
    assert wrong.beat == right.seen + 8 + ahead


def test_a_store_whose_clock_is_set_begins_the_delay_anew() -> None:
    replies = list(replies_of(8, 3.6, asks=60))
    moved = [(asked + 7200 + 6 * 60, made + 6 * 60) for asked, made in replies]
    rhythm = after_replies([*replies, *moved])
    assert rhythm.delay == pytest.approx(7203.6, abs=2)


@pytest.mark.parametrize("drift", [0.01, -0.01])
def test_a_drift_of_the_clock_is_learnt_and_foreseen(drift: float) -> None:
    """The gateway's clock gains on ours, so that a reading is shown ever sooner after its time."""
    trace = made_up_trace(MeterHabits(jitter=False, drift=drift), 1, 600)
    moments = [shows + 0.5 + 0.4 * (number % 4) for number, (_, shows) in enumerate(trace.readings)]
    replies = zip(moments, (int(reading.made) for reading in trace.readings), strict=True)
    assert after_replies(replies).drift == pytest.approx(-8 * drift, abs=0.03)


def test_the_same_reading_and_no_reading_teach_nothing() -> None:
    rhythm = after_replies(replies_of(8, 3.6, asks=30))
    assert after_reply(rhythm, rhythm.seen, 9000.0) is rhythm
    assert after_reply(rhythm, None, 9000.0) is rhythm


def test_requests_beyond_the_plain_grid_overdraw_no_more_than_one() -> None:
    rhythm = after_replies((1000.0 + number, None) for number in range(50))
    assert rhythm.credit == -1.0
    rested = after_request(rhythm, 2000.0, PLAIN)
    assert rested.credit == MOST_CREDIT - 1


moments = st.floats(-1e6, 1e6, allow_nan=False).map(lambda seconds: 1.8e9 + seconds)
own_times = st.none() | st.integers(-(10**7), 10**7).map(lambda seconds: 1_800_000_000 + seconds)


@given(st.lists(st.tuples(moments, own_times), max_size=60))
def test_whatever_a_gateway_shows_the_estimate_stays_bounded(
    replies: list[tuple[float, int | None]],
) -> None:
    rhythm = after_replies(replies)
    assert len(rhythm.gaps) <= GAPS_KEPT
    assert all(gap > 0 for gap in rhythm.gaps)
    assert 0 <= rhythm.period < 2000
    assert rhythm.spread >= 0
    assert abs(rhythm.drift) <= MOST_DRIFT * 2000
    assert -1 <= rhythm.credit <= MOST_CREDIT
