"""Gives an archive the index that it lacks: for hours that were archived before there was one, or
whose index objects were lost or damaged with the disk that they came from.

Nothing that is there is changed. Whatever object no index object names is named by a further one,
whose writer is `rebuilt`. So a rebuild may be interrupted and repeated at any moment, also beside a
running system, and does only what is left.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import index_of
from eagle_logger.core.archive_index import REBUILT, IndexEntry
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.sealing import OBJECT_DIGEST
from eagle_logger.errors import Unreadable
from eagle_logger.rotation.index_writer import IndexWriter

LEFT_TO_ROTATION_S = 3 * SECONDS_PER_HOUR
"""Seconds after the end of an hour in which its nodes may still be about to index it."""
_THREADS = 16
"""Objects that are asked about at once: that is mostly waiting."""
_KEYS_AT_ONCE = 2000
_BUFFERED_KEYS = 200_000
"""Keys that are held in memory before they are written to the working directory."""


@dataclass(slots=True)
class RebuildResult:
    hours: int = 0
    """Hours that got index objects."""
    index_objects: int = 0
    entries: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    """The reason, by the key of an object that cannot be indexed."""


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """How far a rebuild is. `hours` is 0 while the archive is listed."""

    listed: int
    hours: int = 0
    hours_done: int = 0


def rebuild_index(
    archive: Archive,
    directory: Path,
    *,
    now: float,
    since: Hour,
    until: Hour | None = None,
    on_progress: Callable[[RebuildProgress], None] = lambda _: None,
) -> RebuildResult:
    """Name each object of the hours from `since` until before `until` that no index object names.

    The archive is listed once, and its keys are sorted by hour in files in `directory`, about 8
    bytes for each: memory depends on the largest hour, not on the archive. Hours that ended less
    than three hours before `now` are left to rotation. Raises ArchiveUnavailable.
    """
    result = RebuildResult()
    sorter = _KeysByHour(directory)
    newest = Hour.of(now - LEFT_TO_ROTATION_S)  # the hour that had not ended by then
    end = newest if until is None else min(newest, until)
    for number, key in enumerate(archive.keys("cloud_id="), start=1):
        named = parse_archive_key(key)
        if named is not None and since <= named[1] < end:
            sorter.add(*named)
        if number % 1000 == 0:
            on_progress(RebuildProgress(number))
    hours = sorter.hours()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="rebuild") as pool:
        for done, hour in enumerate(hours):
            on_progress(RebuildProgress(sorter.count, len(hours), done))
            _rebuild_hour(archive, hour, sorter.keys_of(hour), pool, result)
    on_progress(RebuildProgress(sorter.count, len(hours), len(hours)))
    return result


def _rebuild_hour(
    archive: Archive,
    hour: Hour,
    keys: Iterable[str],
    pool: ThreadPoolExecutor,
    result: RebuildResult,
) -> None:
    writer = IndexWriter(archive, REBUILT, hour)
    writer.follow(index_of(archive, hour).parts)
    entries = list[IndexEntry]()
    missing = (key for key in keys if key not in writer.indexed)
    while some := list(islice(missing, _KEYS_AT_ONCE)):
        for key, entry in zip(some, pool.map(lambda key: _entry(archive, key), some), strict=True):
            if isinstance(entry, IndexEntry):
                entries.append(entry)
            else:
                result.left_out[key] = entry
    written = writer.add(entries, waiting=0, complete=True)
    result.hours += bool(written)
    result.index_objects += len(written)
    result.entries += sum(part.head.entries for part in written)


def _entry(archive: Archive, key: str) -> IndexEntry | str:
    """What the index is to say of an object, or why it cannot name it."""
    info = archive.head(key)
    if info is None:
        return "the archive lists it, and says that there is no such object"
    try:
        entry = IndexEntry.from_metadata(key, info.size, info.metadata)
        digest = info.sha256 or hashlib.sha256(archive.get(key)).hexdigest()
    except (ValueError, Unreadable, KeyError) as exc:
        return str(exc)
    if digest != entry.object_sha256:
        return f"damaged: {OBJECT_DIGEST} in its metadata is not that of its content"
    return entry


class _KeysByHour:
    """The keys of an archive, sorted by hour in files of a directory."""

    def __init__(self, directory: Path) -> None:
        self.count = 0
        self._directory = directory
        self._buffered: defaultdict[Hour, list[str]] = defaultdict(list)
        self._in_buffer = 0
        self._hours: set[Hour] = set()

    def add(self, cloud_id: str, hour: Hour, number: int) -> None:
        self.count += 1
        self._buffered[hour].append(f"{cloud_id}.{number}" if number else cloud_id)
        self._in_buffer += 1
        if self._in_buffer >= _BUFFERED_KEYS:
            self._flush()

    def hours(self) -> list[Hour]:
        self._flush()
        return sorted(self._hours)

    def keys_of(self, hour: Hour) -> Iterator[str]:
        with self._file(hour).open("r", encoding="ascii") as lines:
            for line in lines:
                cloud_id, _, number = line.strip().partition(".")
                yield archive_key(cloud_id, hour, int(number or 0))

    def _flush(self) -> None:
        for hour, parts in self._buffered.items():
            with self._file(hour).open("a", encoding="ascii") as file:
                file.writelines(f"{part}\n" for part in parts)
        self._hours.update(self._buffered)
        self._buffered.clear()
        self._in_buffer = 0

    def _file(self, hour: Hour) -> Path:
        return self._directory / hour.name
