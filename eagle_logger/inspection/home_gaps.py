"""What is stored of a home's hours, and which of its readings are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import FleetHours, index_of
from eagle_logger.core.gaps import GapRow, HomeGaps, HourOfHome
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.readings import Stream
from eagle_logger.core.rotation_plan import is_over
from eagle_logger.errors import UnknownUser
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.logs.folder import LogFolder


@dataclass(frozen=True, slots=True)
class GapPeriod:
    """From `begin` until before `end`; `grace` is how long after its end an hour is sealed (s)."""

    begin: float
    end: float
    now: float
    grace: float

    @property
    def hours(self) -> Iterator[Hour]:
        hour = Hour.of(self.begin)
        while hour.start < self.end:
            yield hour
            hour = Hour(hour.end)


class GapsOfHomes:
    """Finds what is missing of one home after the other, in the same period."""

    def __init__(self, folder: LogFolder, archive: Archive, period: GapPeriod) -> None:
        self._folder, self._archive, self._period = folder, archive, period
        self._fleet = FleetHours(archive)

    def of(self, cloud_id: str) -> Iterator[GapRow]:
        """See `gaps_of_home`."""
        history = UserReadings(cloud_id, self._folder, self._archive)
        return gaps_of_home(history, self._fleet, self._period)


def gaps_of_home(history: UserReadings, fleet: FleetHours, period: GapPeriod) -> Iterator[GapRow]:
    """The rows of one home, hour by hour; in memory is one hour. Raises ArchiveUnavailable, and
    UnknownUser if nothing was ever logged for the home."""
    hours = history.hours()
    if not hours:
        raise UnknownUser(f"Nothing was ever logged for {history.cloud_id}.")
    kept_aside = history.folder.hours_kept_aside(history.cloud_id)
    gaps = HomeGaps(history.cloud_id, period.begin, min(period.end, period.now))
    before = [hour for hour in hours if hour.start < period.begin]
    if before:
        gaps.warm_up(_stored(history, before[-1]))
    with_readings = set(hours)
    for hour in period.hours:
        unreadable = history.unreadable
        stored = _stored(history, hour) if hour in with_readings else HourOfHome()
        of_fleet = fleet[hour]
        yield from gaps.add(
            hour,
            HourOfHome(
                moments=stored.moments,
                arrivals=stored.arrivals,
                is_open=not is_over(hour, period.grace, period.now),
                is_waiting=of_fleet.is_waiting,
                is_kept_aside=hour in kept_aside,
                is_unreadable=history.unreadable > unreadable,
                homes=of_fleet.homes,
            ),
        )
    yield from gaps.rest()


def _stored(history: UserReadings, hour: Hour) -> HourOfHome:
    moments: defaultdict[Stream, list[int]] = defaultdict(list)
    arrivals = list[float]()
    for line in map(parse_line, history.lines(hour)):
        device, meter, kind, _time = line.identity
        moments[Stream(device, meter, kind)].append(int(line.moment))
        arrivals.append(line.arrived)
    return HourOfHome(moments, arrivals)


def homes_of_period(archive: Archive, period: GapPeriod) -> set[str]:
    """The homes that the archive's index names in this period, and in the hour before it. Raises
    ArchiveUnavailable."""
    homes: set[str] = set()
    hours = [Hour(Hour.of(period.begin).start - SECONDS_PER_HOUR), *period.hours]
    for hour in hours:
        named = (parse_archive_key(key) for key in index_of(archive, hour).named_by())
        homes.update(name[0] for name in named if name)
    return homes
