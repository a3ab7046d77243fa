"""What is stored of a home's hours, and which of its readings are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import HourIndex, index_of
from eagle_logger.core.gaps import GapRow, HomeGaps, HourOfHome
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.readings import Stream
from eagle_logger.core.rotation_plan import is_over
from eagle_logger.errors import UnknownUser
from eagle_logger.inspection.user_readings import UserReadings

_HOURS_KEPT = 10_000
"""Hours of the fleet that are remembered, so that each is read once for all homes."""


@dataclass(frozen=True, slots=True)
class FleetHour:
    """What the archive's index says of an hour. `homes`: how many have readings; None if the hour
    has no index. `is_waiting`: some node has not said that nothing of the hour waits."""

    homes: int | None = None
    is_waiting: bool = False

    @classmethod
    def of(cls, index: HourIndex) -> FleetHour:
        if not index.parts:
            return cls()
        named = (parse_archive_key(key) for key in index.named_by())
        writers = {part.head.name.node for part in index.parts}
        complete = {part.head.name.node for part in index.parts if part.head.complete}
        return cls(len({name[0] for name in named if name}), writers != complete)


@dataclass
class FleetHours:
    """Reads each hour of the index once."""

    archive: Archive | None
    _known: dict[Hour, FleetHour] = field(default_factory=dict)

    def __getitem__(self, hour: Hour) -> FleetHour:
        """Raises ArchiveUnavailable."""
        if self.archive is None:
            return FleetHour()
        if hour not in self._known:
            if len(self._known) >= _HOURS_KEPT:
                self._known.clear()
            self._known[hour] = FleetHour.of(index_of(self.archive, hour))
        return self._known[hour]


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
