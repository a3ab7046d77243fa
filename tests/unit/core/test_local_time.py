"""Hours and days of a zone, also where its clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.local_time import LocalPeriod, Span, period_of

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Australia/Lord_Howe",  # its clocks change by half an hour
        "America/Santiago",  # they change at midnight
        "Africa/Cairo",
    )
]
YEAR_2026 = range(
    int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()),
    int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()),
)
moments = st.floats(0, 4e9) | st.sampled_from(YEAR_2026)


def day(year: int, month: int, number: int, zone: str) -> LocalPeriod:
    noon = datetime(year, month, number, 12, tzinfo=ZoneInfo(zone))
    return period_of(noon.timestamp(), Span.DAY, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("date", "zone", "hours", "name"),
    [
        ((2026, 3, 29), "Europe/Berlin", 23, "2026-03-29T00:00+01:00"),
        ((2026, 10, 25), "Europe/Berlin", 25, "2026-10-25T00:00+02:00"),
        ((2026, 3, 8), "America/New_York", 23, "2026-03-08T00:00-05:00"),
        ((2026, 11, 1), "America/New_York", 25, "2026-11-01T00:00-04:00"),
        ((2026, 4, 24), "Africa/Cairo", 23, "2026-04-24T01:00+03:00"),  # midnight is left out
        ((2026, 10, 4), "Australia/Lord_Howe", 23.5, "2026-10-04T00:00+10:30"),
        ((2026, 7, 1), "Asia/Kolkata", 24, "2026-07-01T00:00+05:30"),
    ],
)
def test_a_day_has_as_many_hours_as_the_clocks_show(
    date: tuple[int, int, int], zone: str, hours: float, name: str
) -> None:
    period = day(*date, zone)
    assert (period.seconds, period.name) == (hours * 3600, name)


def test_the_hour_that_the_clocks_show_twice_is_two_hours() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    names = [
        period_of(first + 3600 * number, Span.HOUR, ZoneInfo("Europe/Berlin")).name
        for number in range(3)
    ]
    assert names == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"]


@given(moments, st.sampled_from(Span), st.sampled_from(ZONES))
def test_a_moment_lies_in_its_period(moment: float, span: Span, zone: ZoneInfo) -> None:
    period = period_of(moment, span, zone)
    assert period.start <= moment < period.end


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("span", Span)
def test_the_periods_of_a_year_follow_each_other_without_a_hole(span: Span, zone: ZoneInfo) -> None:
    period = period_of(YEAR_2026.start, span, zone)
    while period.end < YEAR_2026.stop:
        following = period_of(period.end, span, zone)
        assert following.start == period.end
        assert period_of(period.end - 1, span, zone) == period
        period = following
