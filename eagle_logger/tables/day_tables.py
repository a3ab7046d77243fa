"""The day tables of an archive: which days need work, what there is, and how a day is built,
compared or deleted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from eagle_logger.archive.archive import Archive
from eagle_logger.core.gaps import GapRow
from eagle_logger.core.paths import INDEX, IndexKey
from eagle_logger.core.table_names import TABLES, Day, TableFile, day_of
from eagle_logger.core.table_plan import (
    TableManifest,
    days_looked_at,
    is_built_anyway,
    is_stated_complete,
)
from eagle_logger.logs.disk_errors import disk_errors
from eagle_logger.tables.day_gaps import gaps_of_day
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.gap_tables import GapTables
from eagle_logger.tables.input_reader import InputReader
from eagle_logger.tables.roll_up import RollUpJob, own_directory, roll_up_bucket
from eagle_logger.tables.table_result import RollUpResult, RollUpStopped
from eagle_logger.tables.verify_day import DayVerdict, verified_day

_GAPS_BEGIN_WITHIN = 0.25
"""Of the time for reading. Making gaps takes a bucket of 40 million rows some minutes."""


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """What there is of one day."""

    day: Day
    manifests: tuple[TableManifest, ...]
    unfinished: tuple[TableFile, ...]
    """Files that are planned, and not proved yet."""
    gap_files: int
    """Buckets of which there is a file of gaps."""

    @property
    def rows(self) -> int:
        return sum(manifest.rows for manifest in self.manifests)

    @property
    def size(self) -> int:
        return sum(manifest.size for manifest in self.manifests)

    @property
    def refused(self) -> int:
        return sum(len(manifest.refused) for manifest in self.manifests)


class DayTables:
    """Blocking; for any number of processes at once. `directory` is for files under way, and
    `kept_free` bytes stay free on its disk."""

    def __init__(
        self,
        archive: Archive,
        reader: InputReader,
        directory: Path,
        made_by: str,
        *,
        kept_free: int = 0,
    ) -> None:
        self._archive = archive
        self._reader = reader
        self._directory = directory
        self._made_by = made_by
        self._kept_free = kept_free

    def work(
        self,
        now: float,
        nodes: Iterable[str],
        *,
        every_day: bool = False,
        include_open: bool = False,
    ) -> list[tuple[Day, int]]:
        """The complete days and buckets that have something to roll up, oldest first. `nodes` are
        the log volumes that are known to be in use.

        Only the last two weeks are looked at, unless `every_day` asks for all that the archive has.
        With `include_open`, today counts too, and no day need be complete. Raises
        ArchiveUnavailable, TableDamaged.
        """
        known = list(nodes)
        work: list[tuple[Day, int]] = []
        days = self._indexed_days(now) if every_day else days_looked_at(now)
        for day in [*days, *([Day.of(now)] if include_open else [])]:
            objects = DayObjects(self._archive, day)
            # First whether it is complete: who asks for the buckets decides how many there are.
            if objects.index.keys and (
                include_open
                or is_built_anyway(day, now)
                or is_stated_complete(objects.index_heads(), known, day)
            ):
                work += [(day, bucket) for bucket in self._buckets(objects, now)]
        return work

    def buckets(self, day: Day, now: float = math.inf) -> list[int]:
        """The buckets of a day that have something to roll up, whether or not it is complete."""
        return self._buckets(DayObjects(self._archive, day), now)

    def rows_said(self, day: Day) -> int:
        """How many rows the index names for a day."""
        return DayObjects(self._archive, day).rows_said()

    def build(
        self,
        day: Day,
        bucket: int,
        now: float = math.inf,
        *,
        with_raw: bool = False,
        read_for: float = math.inf,
        stopping: Callable[[], bool] = lambda: False,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> RollUpResult:
        """Bring one bucket of a day up to what the index says; see `roll_up_bucket`. Once the day
        is over, its file of gaps follows; see `GapTables`.

        After `read_for` seconds, no further object is read, and the result is `stopped`. It is
        stopped too if files took so long that the gaps need a call of their own.
        """
        job = RollUpJob(
            self._reader,
            self._directory,
            self._made_by,
            with_raw,
            self._kept_free,
            read_for,
            stopping,
            on_rows,
        )
        gaps_begin_before = time.monotonic() + read_for * _GAPS_BEGIN_WITHIN
        result = roll_up_bucket(DayObjects(self._archive, day), bucket, job)
        if result.stopped or not day.is_over(now):
            return result
        if result.files and time.monotonic() > gaps_begin_before:
            result.stopped = True
            return result
        self._make_gaps(day, bucket, stopping, result)
        return result

    def built(self, day: Day | None = None) -> Iterator[BuiltDay]:
        """What there is of each day, or of one. Oldest first."""
        days = self._days() if day is None else [day]
        for each in days:
            objects = DayObjects(self._archive, each)
            stored = objects.stored()
            manifests = tuple(objects.manifest(file) for file in sorted(stored.manifests))
            gap_files = GapTables(self._archive, each).stored()
            with_gaps = {file.bucket for file in gap_files.manifests}
            yield BuiltDay(each, manifests, tuple(stored.unfinished), len(with_gaps))

    def verify(self, day: Day, *, on_rows: Callable[[int], None] = lambda _: None) -> DayVerdict:
        """Compare a day's tables with the objects that they were made of, reading both."""
        reader = InputReader(self._archive)
        verdict = verified_day(DayObjects(self._archive, day), reader, self._directory, on_rows)
        verdict.wrong += GapTables(self._archive, day).why_wrong(self._directory)
        return verdict

    def gaps(self, day: Day) -> Iterator[GapRow]:
        """Which readings of a day are missing, of all homes; see `gaps_of_day`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._directory, prefix="gaps-") as directory:
            yield from gaps_of_day(self._archive, day, Path(directory))

    def remove(self, day: Day) -> int:
        """Delete a day's tables, and return how many objects that were. They can be built again. A
        proof goes before what it proves, so what an interruption leaves is finished by the next
        roller, or deleted by the next removal."""
        gap_keys = GapTables(self._archive, day).keys()
        for key in gap_keys:
            self._archive.delete(key)
        keys = [*self._archive.keys(day.manifests_prefix), *self._archive.keys(day.files_prefix)]
        by_file: dict[TableFile, list[str]] = {}
        others = []
        for key in keys:
            file = TableFile.parse(key)
            if file is None:
                others.append(key)
            else:
                by_file.setdefault(file, []).append(key)
        for file in sorted(by_file, reverse=True):
            for key in sorted(by_file[file], key=file.keys.index):
                self._archive.delete(key)
        for key in others:
            self._archive.delete(key)
        return len(gap_keys) + len(keys)

    def _buckets(self, objects: DayObjects, now: float) -> list[int]:
        buckets = objects.buckets_with_work()
        if not objects.day.is_over(now):
            return buckets
        return sorted({*buckets, *GapTables(self._archive, objects.day).outdated()})

    def _make_gaps(
        self, day: Day, bucket: int, stopping: Callable[[], bool], result: RollUpResult
    ) -> None:
        gaps = GapTables(self._archive, day, self._kept_free)
        with disk_errors(self._directory), own_directory(self._directory) as directory:
            try:
                made = gaps.make(bucket, directory, self._made_by, stopping)
            except RollUpStopped:
                result.stopped = True
                return
        if made is not None:
            result.gap_files += 1

    def _indexed_days(self, now: float) -> list[Day]:
        """The days before today that the index names."""
        names = (IndexKey.parse(key) for key in self._archive.keys(INDEX))
        days = {Day(name.hour.date) for name in names if name is not None}
        return sorted(day for day in days if day.end <= now)

    def _days(self) -> list[Day]:
        days = (day for key in self._archive.keys(TABLES) if (day := day_of(key)))
        return sorted({day for day, _ in groupby(days)})
