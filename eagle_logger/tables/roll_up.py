"""Rolls one bucket of a day up: index ▶ read, check ▶ Parquet ▶ plan ▶ put ▶ read back ▶ manifest.

Nothing is locked. A plan gets its number by a put that replaces nothing, and names no object that
an earlier plan names, so two rollers that work at once make files of different objects. A roller
that finds a plan without a manifest makes its file, so a roller may die anywhere. What the index
names later goes to the bucket's next file. `core/table_plan.py` decides what goes where.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from eagle_logger.core.table_names import TableFile
from eagle_logger.core.table_plan import (
    MOST_OBJECTS,
    MOST_ROWS,
    TableInput,
    TableManifest,
    TablePlan,
    new_inputs,
)
from eagle_logger.disk import crash_points
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, TableDamaged, Unreadable
from eagle_logger.logs.disk_errors import disk_errors
from eagle_logger.logs.free_space import ensure_room_beside_logs
from eagle_logger.tables.arrow_rows import (
    HASH_MODULUS,
    RowsRefused,
    hash_of,
    in_order,
    moments_of,
    rows_of,
)
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.input_reader import InputReader, ReadInput
from eagle_logger.tables.parquet_file import ParquetFileReader, ParquetFileWriter
from eagle_logger.tables.table_result import RollUpResult, RollUpStopped

_MOST_ROWS_SORTED = 200_000
"""Rows of one home that are sorted in one go. A home that is asked each second has 90 000 a day."""
_LEFT_BEHIND_AFTER_S = 86400.0
"""After this, a directory counts as left by a roller that was killed."""
_BYTES_PER_ROW = 10
_BYTES_PER_ROW_WITH_RAW = 40
"""More than a row has ever taken, so that a file that was begun finds room for its end."""
_MOST_ROUNDS = 1000
"""Files that one call makes in a bucket: a bound for what can only be a mistake."""


@dataclass(slots=True)
class RollUpJob:
    """What a roller works with. `directory` is for its own files, which go with it."""

    reader: InputReader
    directory: Path
    made_by: str
    with_raw: bool = False
    kept_free: int = 0
    """Bytes that stay free on the disk of `directory`."""
    read_for: float = math.inf
    """Seconds after which a file takes no further object. The rest goes to the next file, in
    another call."""
    stopping: Callable[[], bool] = lambda: False
    on_rows: Callable[[int], None] = lambda _: None
    """Called with the number of rows that were just written."""


def roll_up_bucket(objects: DayObjects, bucket: int, job: RollUpJob) -> RollUpResult:
    """Bring a bucket's files up to what the index says. Blocking; safe to repeat, and beside other
    rollers.

    What a person should know of single objects is in the result. Raises ArchiveUnavailable,
    DiskUnavailable, NotAccepted, TableDamaged.
    """
    result = RollUpResult()
    with disk_errors(job.directory), own_directory(job.directory) as directory:
        roller = _Roller(objects, bucket, job, directory, result)
        with suppress(RollUpStopped):
            roller.run()
            return result
    result.stopped = True
    return result


@dataclass(slots=True)
class _Made:
    """A file on this disk, and what it turned out to hold."""

    path: Path
    used: list[TableInput] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    row_hash: int = 0
    first: int | None = None
    last: int | None = None


class _Roller:
    def __init__(
        self,
        objects: DayObjects,
        bucket: int,
        job: RollUpJob,
        directory: Path,
        result: RollUpResult,
    ) -> None:
        self._objects = objects
        self._archive = objects.archive
        self._bucket = bucket
        self._job = job
        self._directory = directory
        self._result = result
        self._reads_until = time.monotonic() + job.read_for

    def run(self) -> None:
        for _ in range(_MOST_ROUNDS):
            stored = self._objects.stored()
            for file in stored.unplanned:
                if file.bucket == self._bucket:
                    raise TableDamaged(
                        f"{file.key} belongs to no plan, so its readings may stand twice: delete "
                        f"the day's tables with `eagle-logger tables remove --date {file.day}`, "
                        "and build them again"
                    )
            plans = [
                self._objects.plan(file)
                for file in sorted(stored.plans)
                if file.bucket == self._bucket
            ]
            for plan in plans:
                if plan.file in stored.unfinished:
                    self._finish(plan)
            if not self._add_file(plans):
                return
            if time.monotonic() > self._reads_until:
                raise RollUpStopped

    def _add_file(self, plans: list[TablePlan]) -> bool:
        """Make the bucket's next file. False if there is nothing to make one of."""
        planned = {item.key for plan in plans for item in plan.inputs}
        covered = {key for plan in plans for key in plan.index}
        said = self._objects.inputs_of(
            self._bucket, [key for key in self._objects.index.keys if key not in covered]
        )
        self._result.problems.update(self._objects.index.unreadable)
        wanted = new_inputs((item for items in said.values() for item in items), planned)
        if not wanted:
            return False
        objects, some = len(wanted), _as_many_as_fit(wanted.values())
        del wanted  # its keys are long, and there may be 100 000
        self._ensure_room(sum(said[0].rows for said in some), with_raw=self._job.with_raw)
        number = max((plan.file.number for plan in plans), default=-1) + 1
        file = TableFile(self._objects.day, self._bucket, number)
        made = self._make(file, self._while_there_is_time(some), with_raw=self._job.with_raw)
        self._result.problems.update(made.unusable)
        if not made.used:
            return False
        planned |= {item.key for item in made.used}
        plan = replace(
            self._plan(file, made, with_raw=self._job.with_raw),
            index=tuple(
                key for key, items in said.items() if all(item.key in planned for item in items)
            ),
        )
        stored = self._put_plan(plan)
        if stored is None:
            return True
        self._put_and_prove(stored, made)
        return len(made.used) + len(made.unusable) < objects

    def _while_there_is_time(
        self, objects: Iterable[list[TableInput]]
    ) -> Iterator[list[TableInput]]:
        """The first object, and as many more as can be read in time."""
        for number, said in enumerate(objects):
            if number and time.monotonic() > self._reads_until:
                return
            yield said

    def _plan(self, file: TableFile, made: _Made, *, with_raw: bool) -> TablePlan:
        return TablePlan(
            file=file,
            buckets=self._objects.buckets,
            inputs=tuple(made.used),
            refused=made.refused,
            rows=made.rows,
            row_hash=f"{made.row_hash:032x}",
            first=made.first,
            last=made.last,
            with_raw=with_raw,
            made_by=self._job.made_by,
        )

    def _put_plan(self, plan: TablePlan) -> TablePlan | None:
        """The plan of the same file that the archive has now. None if another roller took its
        number for other objects."""
        body = plan.to_bytes()
        with crash_points.around("put the plan"), suppress(AlreadyThere):
            self._archive.put(plan.file.plan_key, body, {"rows": str(plan.rows)})
        with suppress(KeyError, Unreadable):
            if self._archive.get(plan.file.plan_key) == body:
                return plan  # a second copy of so many objects would need as much memory again
        stored = self._objects.plan(plan.file)
        return stored if is_same_file(stored, plan) else None

    def _finish(self, plan: TablePlan) -> None:
        """Make the file of a plan that another roller left, or is working on."""
        if self._archive.head(plan.file.key) is not None:
            self._prove(plan)
            return
        self._ensure_room(plan.rows, with_raw=plan.with_raw)
        made = self._make(plan.file, [[item] for item in plan.inputs], with_raw=plan.with_raw)
        if made.unusable:
            self._result.problems.update(made.unusable)
            return
        again = self._plan(plan.file, made, with_raw=plan.with_raw)
        if not is_same_file(again, plan):
            raise TableDamaged(
                f"{plan.file.plan_key} was made by version {plan.made_by or '?'} and cannot be "
                f"repeated by this one: delete the day's tables with `eagle-logger tables remove "
                f"--date {plan.file.day}`, and build them again"
            )
        self._put_and_prove(plan, made)

    def _ensure_room(self, rows: int, *, with_raw: bool) -> None:
        size = rows * (_BYTES_PER_ROW_WITH_RAW if with_raw else _BYTES_PER_ROW)
        ensure_room_beside_logs(self._directory, size, self._job.kept_free)

    def _make(
        self, file: TableFile, wanted: Iterable[Sequence[TableInput]], *, with_raw: bool
    ) -> _Made:
        """Write the file on this disk, home by home."""
        made = _Made(self._directory / f"{file.name}.parquet")
        made.path.unlink(missing_ok=True)
        with ParquetFileWriter(made.path, with_raw=with_raw) as writer:
            read = self._job.reader.read_each(wanted)
            for _, inputs in groupby(read, key=lambda item: item.item.cloud_id):
                if self._job.stopping():
                    raise RollUpStopped
                for rows in _sorted_rows(inputs, made, with_raw=with_raw):
                    writer.add(rows)
                    self._job.on_rows(rows.num_rows)
            writer.finish(self._plan(file, made, with_raw=with_raw).metadata)
        return made

    def _put_and_prove(self, plan: TablePlan, made: _Made) -> None:
        with crash_points.around("put the file"), suppress(AlreadyThere):
            self._archive.put_file(plan.file.key, made.path, plan.metadata)
        made.path.unlink()
        self._prove(plan)

    def _prove(self, plan: TablePlan) -> None:
        """Read the file back, compare it with its plan, and put its manifest."""
        info = self._archive.head(plan.file.key)
        if info is None:
            raise ArchiveUnavailable(
                f"{self._archive.url} has taken {plan.file.key}, and says that there is no such "
                "object"
            )
        path = self._directory / f"{plan.file.name}.back"
        try:
            self._archive.get_file(plan.file.key, path, info.size)
            why = why_not_as_planned(path, plan)
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
        except (Unreadable, KeyError) as exc:
            raise ArchiveUnavailable(f"{plan.file.key} cannot be read back: {exc}") from exc
        finally:
            path.unlink(missing_ok=True)
        if why is not None:
            raise TableDamaged(
                f"{plan.file.key} {why}: delete the day's tables with `eagle-logger tables remove "
                f"--date {plan.file.day}`, and build them again"
            )
        manifest = TableManifest(plan.file, plan.head, info.size, digest)
        with crash_points.around("put the manifest"), suppress(AlreadyThere):
            self._archive.put(plan.file.manifest_key, manifest.to_bytes(), {"rows": str(plan.rows)})
        self._result.add(manifest)


def is_same_file(one: TablePlan, other: TablePlan) -> bool:
    """Whether two plans describe the same content."""
    return (one.digest, one.rows, one.row_hash) == (other.digest, other.rows, other.row_hash)


def why_not_as_planned(path: Path, plan: TablePlan) -> str | None:
    """What is wrong with a file; None if its rows are those of the plan."""
    try:
        reader = ParquetFileReader(path)
        try:
            digest = reader.metadata.get("inputs-digest")
            rows, row_hash = 0, 0
            for group in reader.row_groups():
                rows += group.num_rows
                row_hash += hash_of(group)
        finally:
            reader.close()
    except (pa.ArrowException, OSError, KeyError, UnicodeError) as exc:
        return f"cannot be read ({str(exc)[:200]})"
    if digest != plan.digest:
        return "was made of other objects than its plan names"
    if rows != plan.rows:
        return f"has {rows} rows, and its plan says {plan.rows}"
    if f"{row_hash % HASH_MODULUS:032x}" != plan.row_hash:
        return "has other readings than its plan says"
    return None


def _as_many_as_fit(wanted: Iterable[list[TableInput]]) -> list[list[TableInput]]:
    """In order of user, hour and part, as many objects as one file takes."""
    in_order = sorted(wanted)[:MOST_OBJECTS]
    rows = 0
    for number, said in enumerate(in_order):
        rows += said[0].rows
        if number and rows > MOST_ROWS:
            return in_order[:number]
    return in_order


def _sorted_rows(inputs: Iterable[ReadInput], made: _Made, *, with_raw: bool) -> Iterator[pa.Table]:
    """One home's rows in order, and what became of its objects."""
    tables: list[pa.Table] = []
    waiting = 0
    for read in inputs:
        if read.unusable is not None:
            made.unusable[read.key] = read.unusable
            continue
        made.used.append(read.item)
        try:
            rows = rows_of(read.plain, read.item.cloud_id, with_raw=with_raw)
        except RowsRefused as exc:
            made.refused[read.key] = str(exc)
            continue
        if rows.num_rows:
            _count(rows, made)
            tables.append(rows)
            waiting += rows.num_rows
        if waiting >= _MOST_ROWS_SORTED:
            yield in_order(pa.concat_tables(tables))
            tables, waiting = [], 0
    if tables:
        yield in_order(pa.concat_tables(tables))


def _count(rows: pa.Table, made: _Made) -> None:
    first, last = moments_of(rows)
    made.rows += rows.num_rows
    made.row_hash = (made.row_hash + hash_of(rows)) % HASH_MODULUS
    made.first = first if made.first is None else min(made.first, first)
    made.last = last if made.last is None else max(made.last, last)


@contextmanager
def own_directory(parent: Path) -> Iterator[Path]:
    """A directory of the roller's own, which goes with it."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("roll-up-*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix="roll-up-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
