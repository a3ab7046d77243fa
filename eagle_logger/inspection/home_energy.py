"""A home's energy, from the log files and the archive, an hour at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from eagle_logger.core.energy import EnergyRow, HomeEnergy, in_order
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.local_time import Span, period_of
from eagle_logger.errors import UnknownUser
from eagle_logger.inspection.user_readings import UserReadings

_MOST_HOURS_BEFORE = 24
"""Hours with readings before the first period, in which the summation before it is looked for."""


@dataclass(frozen=True, slots=True)
class EnergyPeriod:
    """The hours or days of a zone that touch the time from `since` to `until` (Unix seconds)."""

    since: float
    until: float
    now: float
    span: Span
    zone: tzinfo

    @property
    def begin(self) -> int:
        return period_of(self.since, self.span, self.zone).start

    @property
    def end(self) -> int:
        return period_of(self.until, self.span, self.zone).end


def energy_of_home(history: UserReadings, period: EnergyPeriod) -> Iterator[EnergyRow]:
    """A row for each meter and each hour or day. In memory is one hour. Raises ArchiveUnavailable,
    and UnknownUser if nothing was ever logged for the home."""
    begin, end = period.begin, period.end
    hours = history.hours()
    if not hours:
        raise UnknownUser(
            f"Nothing was ever logged for {history.cloud_id}; "
            "`eagle-logger users list` shows all users."
        )
    before = _hours_before(history, [hour for hour in hours if hour.end <= begin])
    within = [hour for hour in hours if hour.end > begin and hour.start < end]
    home = HomeEnergy(period.span, period.zone)
    for hour in [*before, *within]:
        for moment, line in in_order(map(parse_line, history.lines(hour))):
            if moment < end:
                row = home.add(moment, line)
                if row is not None and row.period.start >= begin:
                    yield row
    yield from (row for row in home.finish(period.now) if row.period.start >= begin)


def _hours_before(history: UserReadings, hours: list[Hour]) -> list[Hour]:
    """The last of these hours, back to one that has a summation."""
    for count, hour in enumerate(reversed(hours[-_MOST_HOURS_BEFORE:]), start=1):
        lines = map(parse_line, history.lines(hour))
        if any(line.identity.kind == Kind.SUMMATION for line in lines):
            return hours[-count:]
    return hours[-1:]
