"""The day tables of an archive: which days need work, what there is, and how a day is built,
compared or deleted."""

from __future__ import annotations

import math
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
from eagle_logger.tables.day_gaps import gaps_of_day
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.input_reader import InputReader
from eagle_logger.tables.roll_up import RollUpJob, roll_up_bucket
from eagle_logger.tables.table_result import RollUpResult
from eagle_logger.tables.verify_day import DayVerdict, verified_day


@dataclass(frozen=True, slots=True)
class BuiltDay:
    """What there is of one day."""

    day: Day
    manifests: tuple[TableManifest, ...]
    unfinished: tuple[TableFile, ...]
    """Files that are planned, and not proved yet."""

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
    """Blocking; for any number of processes at once. `directory` is for files under way."""

    def __init__(
        self, archive: Archive, reader: InputReader, directory: Path, made_by: str
    ) -> None:
        self._archive = archive
        self._reader = reader
        self._directory = directory
        self._made_by = made_by

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
                work += [(day, bucket) for bucket in objects.buckets_with_work()]
        return work

    def buckets(self, day: Day) -> list[int]:
        """The buckets of a day that have something to roll up, whether or not it is complete."""
        return DayObjects(self._archive, day).buckets_with_work()

    def rows_said(self, day: Day) -> int:
        """How many rows the index names for a day."""
        return DayObjects(self._archive, day).rows_said()

    def build(
        self,
        day: Day,
        bucket: int,
        *,
        with_raw: bool = False,
        read_for: float = math.inf,
        stopping: Callable[[], bool] = lambda: False,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> RollUpResult:
        """Bring one bucket of a day up to what the index says; see `roll_up_bucket`. After
        `read_for` seconds, no further object is read, and the result is `stopped`."""
        job = RollUpJob(
            self._reader, self._directory, self._made_by, with_raw, read_for, stopping, on_rows
        )
        return roll_up_bucket(DayObjects(self._archive, day), bucket, job)

    def built(self, day: Day | None = None) -> Iterator[BuiltDay]:
        """What there is of each day, or of one. Oldest first."""
        days = self._days() if day is None else [day]
        for each in days:
            objects = DayObjects(self._archive, each)
            stored = objects.stored()
            manifests = tuple(objects.manifest(file) for file in sorted(stored.manifests))
            yield BuiltDay(each, manifests, tuple(stored.unfinished))

    def verify(self, day: Day, *, on_rows: Callable[[int], None] = lambda _: None) -> DayVerdict:
        """Compare a day's tables with the objects that they were made of, reading both."""
        reader = InputReader(self._archive)
        return verified_day(DayObjects(self._archive, day), reader, self._directory, on_rows)

    def gaps(self, day: Day) -> Iterator[GapRow]:
        """Which readings of a day are missing, of all homes; see `gaps_of_day`."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._directory, prefix="gaps-") as directory:
            yield from gaps_of_day(self._archive, day, Path(directory))

    def remove(self, day: Day) -> int:
        """Delete a day's tables, and return how many objects that were. They can be built again. A
        proof goes before what it proves, so what an interruption leaves is finished by the next
        roller, or deleted by the next removal."""
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
        return len(keys)

    def _indexed_days(self, now: float) -> list[Day]:
        """The days before today that the index names."""
        names = (IndexKey.parse(key) for key in self._archive.keys(INDEX))
        days = {Day(name.hour.date) for name in names if name is not None}
        return sorted(day for day in days if day.end <= now)

    def _days(self) -> list[Day]:
        days = (day for key in self._archive.keys(TABLES) if (day := day_of(key)))
        return sorted({day for day, _ in groupby(days)})
