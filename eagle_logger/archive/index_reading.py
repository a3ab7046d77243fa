"""Reads the archive's index, hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import IndexEntry, IndexPart, decoded
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import INDEX, IndexKey, index_prefix, parse_archive_key
from eagle_logger.errors import Unreadable

_MOST_HOURS_KNOWN = 10_000


@dataclass(slots=True)
class HourIndex:
    """What the index says of one hour, by all its writers together."""

    hour: Hour
    parts: list[IndexPart] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """The reason, by the key of an index object that cannot be read."""

    @property
    def is_complete(self) -> bool:
        """Whether some writer says that it named all it has."""
        return any(part.head.complete for part in self.parts)

    def named_by(self) -> dict[str, dict[IndexEntry, str]]:
        """By the key of an object: what is said of it, and the key of the first index object that
        says so. Two nodes may name one object, if both had its lines; then they say the same."""
        by_key: dict[str, dict[IndexEntry, str]] = {}
        for part in self.parts:
            for entry in part.entries:
                by_key.setdefault(entry.key, {}).setdefault(entry, part.head.name.key)
        return by_key


@dataclass(frozen=True, slots=True)
class FleetHour:
    """What the index says of an hour. `homes`: how many have readings; None if the hour has no
    index. `is_waiting`: some node has not said that nothing of the hour waits."""

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


class FleetHours:
    """Reads the index of each hour once for all homes."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[Hour, FleetHour] = {}

    def __getitem__(self, hour: Hour) -> FleetHour:
        """Raises ArchiveUnavailable."""
        if hour not in self._known:
            if len(self._known) >= _MOST_HOURS_KNOWN:
                self._known.clear()
            self._known[hour] = FleetHour.of(index_of(self._archive, hour))
        return self._known[hour]


def index_of(archive: Archive, hour: Hour) -> HourIndex:
    """The index of one hour. Raises ArchiveUnavailable."""
    return _read(archive, hour, archive.keys(index_prefix(hour)))


def each_hour_index(archive: Archive, since: Hour) -> Iterator[HourIndex]:
    """The index of each hour from `since` on that has one, oldest first. Raises
    ArchiveUnavailable."""
    named = (name for key in archive.keys(INDEX) if (name := IndexKey.parse(key)))
    for hour, names in groupby(named, key=lambda name: name.hour):
        if hour >= since:
            yield _read(archive, hour, (name.key for name in names))


def _read(archive: Archive, hour: Hour, keys: Iterable[str]) -> HourIndex:
    index = HourIndex(hour)
    for key in keys:
        name = IndexKey.parse(key)
        if name is None:
            continue
        try:
            index.parts.append(decoded(archive.get(key), name))
        except (Unreadable, ValueError) as exc:
            index.unreadable[key] = str(exc)
        except KeyError:
            index.unreadable[key] = "the archive lists it, and says that there is no such object"
    return index
