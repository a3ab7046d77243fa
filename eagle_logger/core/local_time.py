"""Hours and days of a time zone. A day on which the clocks change has 23 or 25 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from math import floor

from eagle_logger.core.hours import SECONDS_PER_HOUR


class Span(StrEnum):
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True, order=True)
class LocalPeriod:
    """An hour or a day of a time zone, from its first second until before `end` (Unix seconds)."""

    start: int
    end: int
    name: str
    """Its beginning in local time, with the distance to UTC: `2026-03-29T00:00+01:00`."""

    @property
    def seconds(self) -> int:
        return self.end - self.start


def period_of(moment: float, span: Span, zone: tzinfo) -> LocalPeriod:
    """The hour or day of the zone that this moment (Unix seconds) lies in. Hours are counted from
    the beginning of the day, so they are those of the clock unless it changes by half an hour."""
    local = datetime.fromtimestamp(moment, zone)
    midnight = datetime(local.year, local.month, local.day)  # noqa: DTZ001  (its zone comes next)
    start = _first_second(midnight, zone)
    end = _first_second(midnight + timedelta(days=1), zone)
    if span is Span.HOUR:
        start += (floor(moment) - start) // SECONDS_PER_HOUR * SECONDS_PER_HOUR
        end = min(end, start + SECONDS_PER_HOUR)
    name = datetime.fromtimestamp(start, zone).isoformat(timespec="minutes")
    return LocalPeriod(start, end, name)


def _first_second(midnight: datetime, zone: tzinfo) -> int:
    return int(midnight.replace(tzinfo=zone).timestamp())
