"""Which readings are missing, by the meter's own rhythm, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.gaps import (
    GAP_MEMBERS,
    WHY_MEANS,
    GapRow,
    HomeGaps,
    HourOfHome,
    Why,
)
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream
from tests.support.log_lines import CLOUD_ID, DEVICE, HOUR, METER

DEMAND = Stream(DEVICE, METER, Kind.DEMAND)
OTHER = Stream(DEVICE, "0x0013500100000002", Kind.DEMAND)
NEXT, THIRD = Hour(HOUR.end), Hour(HOUR.end + 3600)


def every(seconds: int, hour: Hour = HOUR, begin: int = 0, end: int = 3600) -> list[int]:
    return [hour.start + offset for offset in range(begin, end, seconds)]


def hour_of(moments: list[int], stream: Stream = DEMAND) -> HourOfHome:
    return HourOfHome({stream: moments}, homes=3)


def gaps(begin: float = HOUR.start, end: float = THIRD.end) -> HomeGaps:
    return HomeGaps(CLOUD_ID, begin, end)


def test_a_whole_hour_misses_nothing() -> None:
    [row] = gaps().add(HOUR, hour_of(every(8)))
    assert (row.had, row.expected, row.missing, row.rhythm) == (450, 450, 0, 8.0)
    assert (row.longest_gap, row.why) == (8, None)


def test_a_hole_is_measured_where_it_lies() -> None:
    moments = every(10, end=1200) + every(10, begin=3000)
    [row] = gaps().add(HOUR, hour_of(moments))
    assert (row.had, row.expected, row.missing) == (180, 360, 180)
    assert (row.gap_begin, row.longest_gap) == (HOUR.start + 1190, 1810)
    assert row.why is Why.HOME_SILENT


def test_an_empty_hour_is_one_gap_with_the_rhythm_of_the_hour_before() -> None:
    home = gaps()
    home.add(HOUR, hour_of(every(10)))
    [row] = home.add(NEXT, HourOfHome())
    assert (row.had, row.expected, row.longest_gap, row.rhythm) == (0, 360, 3600, 10.0)


def test_hours_before_the_first_rhythm_get_that_of_the_first_hour_that_shows_one() -> None:
    home = gaps()
    assert home.add(HOUR, hour_of(every(1000))) == []
    first, second = home.add(NEXT, hour_of(every(10, NEXT)))
    assert [(row.hour, row.had, row.expected) for row in (first, second)] == [
        (HOUR, 4, 360),
        (NEXT, 360, 360),
    ]
    assert home.rest() == []


def test_a_stream_without_a_rhythm_is_given_without_an_expectation() -> None:
    home = gaps()
    assert home.add(HOUR, hour_of(every(1000))) == []
    [row] = home.rest()
    assert (row.had, row.expected, row.missing, row.why) == (4, None, 0, None)


def test_a_stream_is_expected_from_its_first_reading_on() -> None:
    [row] = gaps().add(HOUR, hour_of(every(10, begin=1800)))
    assert (row.expected, row.had, row.why) == (180, 180, None)


def test_a_stream_from_before_the_period_is_expected_from_its_begin_on() -> None:
    home = gaps(begin=NEXT.start)
    home.warm_up(hour_of(every(10)))
    [row] = home.add(NEXT, hour_of(every(10, NEXT, begin=1800)))
    assert (row.expected, row.missing, row.longest_gap) == (360, 180, 1800)


def test_only_the_part_of_an_hour_that_lies_in_the_period_counts() -> None:
    [row] = gaps(HOUR.start + 600, HOUR.start + 1800).add(HOUR, hour_of(every(10)))
    assert (row.had, row.expected, row.why) == (120, 120, None)
    assert gaps(NEXT.start).add(HOUR, hour_of(every(10))) == []


def test_an_exchanged_meter_is_expected_no_more() -> None:
    home = gaps()
    home.add(HOUR, hour_of(every(10, end=1800)))
    [row] = home.add(NEXT, hour_of(every(10, NEXT), OTHER))
    assert row.stream == OTHER
    [row] = home.add(THIRD, hour_of(every(10, THIRD), OTHER))
    assert row.stream == OTHER


def test_of_two_meters_each_is_expected() -> None:
    home = gaps()
    both = HourOfHome({DEMAND: every(10), OTHER: every(10, begin=5)})
    assert len(home.add(HOUR, both)) == 2
    quiet, _ = home.add(NEXT, hour_of(every(10, NEXT), OTHER))
    assert (quiet.stream, quiet.missing) == (DEMAND, 360)


def test_prices_and_messages_have_no_rhythm() -> None:
    facts = hour_of(every(10), DEMAND._replace(kind=Kind.PRICE))
    assert gaps().add(HOUR, facts) == []


EMPTY = HourOfHome(
    arrivals=[NEXT.start + 1000.5],
    is_open=True,
    is_waiting=True,
    is_kept_aside=True,
    is_unreadable=True,
    homes=0,
)
WITHOUT: list[tuple[dict[str, Any], Why]] = [
    ({}, Why.OPEN),
    ({"is_open": False}, Why.WAITING),
    ({"is_waiting": False}, Why.KEPT_ASIDE),
    ({"is_kept_aside": False}, Why.UNREADABLE),
    ({"is_unreadable": False}, Why.GATEWAY_ANSWERED),
    ({"arrivals": [NEXT.start + 10.0]}, Why.ALL_SILENT),
    ({"homes": 4}, Why.HOME_SILENT),
    ({"homes": None}, Why.UNKNOWN),
]


@pytest.mark.parametrize("count", range(len(WITHOUT)), ids=[str(why) for _, why in WITHOUT])
def test_why_is_the_first_reason_that_holds(count: int) -> None:
    changes: dict[str, Any] = {}
    for change, _ in WITHOUT[: count + 1]:
        changes |= change
    home = gaps()
    home.add(HOUR, hour_of(every(10)))
    [row] = home.add(NEXT, replace(EMPTY, **changes))
    assert row.why is WITHOUT[count][1]


def test_every_reason_and_member_is_explained() -> None:
    assert set(WHY_MEANS) == set(Why)
    fields = {*GapRow.__slots__, "missing", "device", "meter", "kind"} - {"stream"}
    assert set(GAP_MEMBERS) == fields


offsets = st.lists(st.integers(0, 3 * 3600 - 1), max_size=60)


@given(offsets, st.integers(0, 3 * 3600), st.integers(0, 3 * 3600))
def test_gaps_lie_within_their_hour_and_every_reading_is_counted_once(
    offsets: list[int], begin: int, length: int
) -> None:
    start, end = HOUR.start + begin, min(THIRD.end, HOUR.start + begin + length)
    moments = [HOUR.start + offset for offset in offsets]
    home = gaps(start, end)
    rows = list[GapRow]()
    for hour in (HOUR, NEXT, THIRD):
        rows += home.add(hour, hour_of([at for at in moments if Hour.of(at) == hour]))
    rows += home.rest()
    assert len({row.hour for row in rows}) == len(rows)
    assert sum(row.had for row in rows) == len({at for at in moments if start <= at < end})
    for row in rows:
        assert row.longest_gap >= 0
        assert max(start, row.hour.start) <= row.gap_begin
        assert row.gap_begin + row.longest_gap <= min(end, row.hour.end)
        assert row.missing >= 0
        assert (row.expected is None) == (row.rhythm is None)


@given(st.integers(1, 59), st.sets(st.integers(1, 58), max_size=12))
def test_what_is_taken_out_of_a_steady_stream_is_what_is_missing(
    rhythm: int, taken: set[int]
) -> None:
    """Most neighbours are left, so they show the rhythm."""
    steady = every(rhythm, end=60 * rhythm)
    left = [moment for number, moment in enumerate(steady) if number not in taken]
    [row] = gaps(end=HOUR.start + 60 * rhythm).add(HOUR, hour_of(left))
    assert (row.rhythm, row.missing) == (rhythm, len(taken))
