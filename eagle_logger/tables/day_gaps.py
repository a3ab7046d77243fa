"""Which readings of a day are missing, of all homes, from the day tables: a few files instead of an
object for each home and hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.index_reading import FleetHours
from eagle_logger.core.gaps import GapRow, HomeGaps, HourOfHome
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.kinds import kind_of
from eagle_logger.core.paths import parse_archive_key
from eagle_logger.core.readings import Flag, Stream
from eagle_logger.core.table_names import Day, TableFile
from eagle_logger.core.table_plan import TableManifest
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.table_result import RollUpStopped

_COLUMNS = ["cloud_id", "device", "meter", "kind", "time", "arrived", "flags"]
_ROWS_AT_ONCE = 16_384
"""Of each file. They are Python objects, of about 600 bytes each."""


_Row = tuple[str, str, str, str, int, int, list[str]]
"""What `_COLUMNS` hold. Moments are Unix milliseconds."""


@dataclass(slots=True)
class _HourRows:
    moments: defaultdict[Stream, list[int]] = field(default_factory=lambda: defaultdict(list))
    arrivals: list[float] = field(default_factory=list)


def gaps_of_day(archive: Archive, day: Day, directory: Path) -> Iterator[GapRow]:
    """The rows of all homes that have readings of this day or of the hour before it, as far as both
    days have tables; in order of homes and hours. In memory is one home. `directory` takes the
    files while they are read. Raises ArchiveUnavailable, TableDamaged, OSError.
    """
    before = Day.of(day.start - 1)
    manifests = [
        manifest for each in (before, day) for manifest in manifests_of(DayObjects(archive, each))
    ]
    yield from gaps_of_bucket(archive, day, manifests, directory)


def gaps_of_bucket(
    archive: Archive,
    day: Day,
    manifests: Sequence[TableManifest],
    directory: Path,
    *,
    belongs: Callable[[str], bool] = lambda _: True,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[GapRow]:
    """The same from these files of the day and of the day before, for the homes that belong to it.
    Raises RollUpStopped between two homes."""
    fleet = FleetHours(archive)
    refused = _refused_hours(manifests)
    hour_before = Hour(day.start - SECONDS_PER_HOUR)
    paths = [_fetched(archive, manifest, directory) for manifest in manifests]
    # Of the day before, no more than its last hour tells anything.
    homes = merge(*(_homes_in(path, hour_before.start * 1000) for path in paths), key=itemgetter(0))
    for cloud_id, parts in groupby(homes, key=itemgetter(0)):
        if stopping():
            raise RollUpStopped
        if not belongs(cloud_id):
            continue
        by_hour: defaultdict[Hour, _HourRows] = defaultdict(_HourRows)
        for _, rows in parts:
            _sort_into_hours(rows, by_hour)
        gaps = HomeGaps(cloud_id, day.start, day.end)
        gaps.warm_up(HourOfHome(by_hour[hour_before].moments))
        for hour in day.hours:
            facts = HourOfHome(
                moments=by_hour[hour].moments,
                arrivals=by_hour[hour].arrivals,
                is_waiting=fleet[hour].is_waiting,
                is_unreadable=(cloud_id, hour) in refused,
                homes=fleet[hour].homes,
            )
            yield from gaps.add(hour, facts)
        yield from gaps.rest()


def manifests_of(objects: DayObjects) -> list[TableManifest]:
    """Of the day's proved files, in order."""
    return [objects.manifest(file) for file in sorted(objects.stored().manifests)]


def _fetched(archive: Archive, manifest: TableManifest, directory: Path) -> Path:
    """A proved file, on this disk."""
    path = directory / _file_name(manifest.file)
    archive.get_file(manifest.file.key, path, manifest.size)
    return path


def _file_name(file: TableFile) -> str:
    return f"{file.day}-{file.name}.parquet"


def _homes_in(path: Path, since_ms: int) -> Iterator[tuple[str, list[_Row]]]:
    """The rows of each home, in order of homes, as the file has them; without those that are of a
    moment before `since_ms` and arrived before it."""
    since = pa.scalar(since_ms, pa.timestamp("ms", "UTC"))
    with parquet.ParquetFile(path) as file:
        batches = file.iter_batches(_ROWS_AT_ONCE, columns=_COLUMNS, use_threads=False)
        rows = (row for batch in batches for row in _rows_of(_only_since(batch, since)))
        for cloud_id, of_home in groupby(rows, key=itemgetter(0)):
            yield cloud_id, list(of_home)


def _only_since(batch: pa.RecordBatch, since: pa.Scalar) -> pa.RecordBatch:
    return batch.filter(
        pc.or_(
            pc.greater_equal(batch.column("time"), since),
            pc.greater_equal(batch.column("arrived"), since),
        )
    )


def _rows_of(batch: pa.RecordBatch) -> Iterator[_Row]:
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in (batch.column(name) for name in _COLUMNS)
    ]
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _sort_into_hours(rows: list[_Row], by_hour: defaultdict[Hour, _HourRows]) -> None:
    streams: dict[tuple[str, str, str], Stream] = {}
    hours: dict[int, _HourRows] = {}
    for _, device, meter, kind, time_ms, arrived_ms, flags in rows:
        moment = (arrived_ms if flags and Flag.FILED_BY_ARRIVAL in flags else time_ms) // 1000
        of_hour = hours.get(moment // SECONDS_PER_HOUR)
        if of_hour is None:
            of_hour = hours[moment // SECONDS_PER_HOUR] = by_hour[Hour.of(moment)]
        stream = streams.get((device, meter, kind))
        if stream is None:
            stream = streams[device, meter, kind] = Stream(device, meter, kind_of(kind))
        of_hour.moments[stream].append(moment)
        of_hour.arrivals.append(arrived_ms / 1000)


def _refused_hours(manifests: Iterable[TableManifest]) -> set[tuple[str, Hour]]:
    """The homes and hours whose objects no table can say."""
    keys = (key for manifest in manifests for key in manifest.refused)
    return {(named[0], named[1]) for key in keys if (named := parse_archive_key(key))}
