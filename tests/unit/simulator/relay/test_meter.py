from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.simulator.relay import meter
from eagle_logger.simulator.relay.homes import Home, homes
from eagle_logger.simulator.relay.meter import (
    DEMAND,
    MESSAGE,
    SUMMATION,
    MeterStream,
    latest_reading,
    price_stream,
    reading_before,
)

HOMES = homes(30, seed=5)
NOW = 1_764_000_000
MOMENTS = st.floats(NOW, NOW + 10_000_000, allow_nan=False)


def times(home: Home, stream: MeterStream, seconds: int) -> list[int]:
    """The times of the readings of the last `seconds`, oldest first."""
    moment, newest_first = latest_reading(home, stream, NOW), []
    while moment.time > NOW - seconds:
        newest_first.append(moment.time)
        moment = reading_before(home, stream, moment)
    return newest_first[::-1]


def intervals(stream_of: Callable[[Home], MeterStream], seconds: int) -> Counter[int]:
    """How often each interval between two readings occurs, in all homes."""
    counts: Counter[int] = Counter()
    for home in HOMES:
        series = times(home, stream_of(home), seconds)
        counts.update(later - earlier for earlier, later in pairwise(series))
    return counts


def test_demand_comes_about_every_8_seconds_with_gaps_of_16_and_24() -> None:
    gaps = intervals(lambda _: DEMAND, 40_000)
    assert gaps.most_common(1)[0][0] == 8
    assert gaps[7] + gaps[9] > gaps.total() * 0.15
    assert 0.01 < gaps[16] / gaps.total() < 0.06
    assert 0 < gaps[24] < gaps[16]
    assert min(gaps) >= 7
    assert max(gaps) < 130


def test_summation_comes_every_240_seconds() -> None:
    gaps = intervals(lambda _: SUMMATION, 100_000)
    assert gaps.most_common(1)[0][0] == 240
    assert min(gaps) > 236
    assert max(gaps) < 244


def test_each_home_has_its_own_price_interval_between_60_and_180_seconds() -> None:
    gaps = intervals(price_stream, 10_000)
    assert min(gaps) >= 60
    assert max(gaps) <= 180
    assert len(gaps) > 10


def test_a_message_comes_every_few_hours() -> None:
    gaps = intervals(lambda _: MESSAGE, 1_000_000)
    assert min(gaps) > 3600
    assert max(gaps) < 10 * 3600


def test_readings_become_visible_2_to_12_seconds_late() -> None:
    assert min(meter.LAGS_S) == pytest.approx(2.4)
    assert max(meter.LAGS_S) == pytest.approx(12)
    assert median(meter.LAGS_S) == pytest.approx(3.6, abs=0.05)
    assert sum(lag <= 5.9 for lag in meter.LAGS_S) / len(meter.LAGS_S) == pytest.approx(
        0.95, abs=0.01
    )


@given(home=st.sampled_from(HOMES), now=MOMENTS)
def test_a_reading_is_visible_2_4_seconds_after_its_time_at_the_earliest(
    home: Home, now: float
) -> None:
    for stream in (DEMAND, SUMMATION, MESSAGE, price_stream(home)):
        assert latest_reading(home, stream, now).time <= now - 2.4


@given(home=st.sampled_from(HOMES), now=MOMENTS, later=st.floats(0, 300))
def test_a_gateway_never_shows_an_older_reading_later(home: Home, now: float, later: float) -> None:
    assert latest_reading(home, DEMAND, now) <= latest_reading(home, DEMAND, now + later)


@given(home=st.sampled_from(HOMES), now=MOMENTS)
def test_the_reading_before_the_latest_was_the_latest_or_was_overtaken(
    home: Home, now: float
) -> None:
    newest = latest_reading(home, DEMAND, now)
    earlier = reading_before(home, DEMAND, newest)
    assert earlier.turn < newest.turn
    assert earlier.time < newest.time
    assert latest_reading(home, DEMAND, earlier.time + 12.1) in (earlier, newest)


def test_the_readings_of_homes_are_not_in_step() -> None:
    assert len({latest_reading(home, DEMAND, NOW).time for home in HOMES}) > 5
