"""The table of what is missing, beside the day tables: made, found and compared.

A file is made from a bucket's proved day tables, those of the day before, and the day's index. If
any of these grows, a further file is made, with the next number. Files are never replaced, and the
newest says everything, so a roller may die anywhere: its file is proved by the next one, or left
behind by a newer file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from eagle_logger.archive.archive import Archive
from eagle_logger.core.gap_files import (
    GapFile,
    GapManifest,
    gap_files_prefix,
    gap_manifests_prefix,
    made_from,
    share_homes,
)
from eagle_logger.core.table_names import Day, bucket_of
from eagle_logger.core.table_plan import TableManifest
from eagle_logger.disk import crash_points
from eagle_logger.errors import AlreadyThere, ArchiveUnavailable, TableDamaged, Unreadable
from eagle_logger.logs.free_space import ensure_room_beside_logs
from eagle_logger.tables.day_gaps import gaps_of_bucket, manifests_of
from eagle_logger.tables.day_objects import DayObjects
from eagle_logger.tables.gap_file import write_gap_file

_MADE_FROM = "made-from"
_MOST_TRIES = 10
"""Numbers that a roller tries to get. Each that another roller took before it was for a file made
from as much."""


@dataclass(frozen=True, slots=True)
class StoredGapFiles:
    files: frozenset[GapFile]
    manifests: frozenset[GapFile]

    def newest(self, bucket: int) -> GapFile | None:
        return max((file for file in self.files if file.bucket == bucket), default=None)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What there is now that a bucket's file of gaps is made from."""

    bucket: int
    buckets: int
    of_day: tuple[TableManifest, ...]
    of_day_before: tuple[TableManifest, ...]
    index_keys: tuple[str, ...]

    @property
    def are_there(self) -> bool:
        return bool(self.of_day or self.of_day_before)

    @property
    def digest(self) -> str:
        return made_from([*self.of_day, *self.of_day_before], self.index_keys)


class GapTables:
    """The files of gaps of one day. Its methods raise ArchiveUnavailable, and TableDamaged for
    what cannot be read."""

    def __init__(self, archive: Archive, day: Day, kept_free: int = 0) -> None:
        """`kept_free` bytes stay free on the disk on which files are made."""
        self._archive = archive
        self._day = day
        self._kept_free = kept_free

    def stored(self) -> StoredGapFiles:
        named = [(key, file) for key in self.keys() if (file := GapFile.parse(key))]
        return StoredGapFiles(
            frozenset(file for key, file in named if key == file.key),
            frozenset(file for key, file in named if key == file.manifest_key),
        )

    def keys(self) -> list[str]:
        """Of all files and manifests of the day, in the order in which they are deleted."""
        return [
            *self._archive.keys(gap_manifests_prefix(self._day)),
            *self._archive.keys(gap_files_prefix(self._day)),
        ]

    def outdated(self) -> list[int]:
        """The buckets whose file of gaps is missing, not proved, or made from less than there is
        now. A bucket without day tables on both days has no gaps."""
        stored = self.stored()
        return [
            sources.bucket
            for sources in self._sources_of_all()
            if sources.are_there and not self._is_current(sources, stored)
        ]

    def manifest(self, file: GapFile) -> GapManifest:
        try:
            return GapManifest.from_bytes(self._archive.get(file.manifest_key), file)
        except KeyError:
            raise TableDamaged(f"{file.manifest_key} is listed, and is not there") from None
        except (Unreadable, ValueError) as exc:
            raise TableDamaged(f"{file.manifest_key} cannot be read: {exc}") from None

    def make(
        self, bucket: int, directory: Path, made_by: str, stopping: Callable[[], bool]
    ) -> GapManifest | None:
        """Bring a bucket's file of gaps up to its day tables. None if it is. Safe beside other
        rollers. `directory` takes the files under way. Raises RollUpStopped."""
        for _ in range(_MOST_TRIES):
            # The numbers are read first, so a higher number never comes of less.
            stored = self.stored()
            sources = next((each for each in self._sources_of_all() if each.bucket == bucket), None)
            if sources is None or not sources.are_there or self._is_current(sources, stored):
                return None
            newest = stored.newest(bucket)
            if newest is not None and self._was_left_unproved(newest, sources, stored):
                return self._prove(newest, sources, directory, made_by)
            file = GapFile(self._day, bucket, 0 if newest is None else newest.number + 1)
            if self._put(file, sources, directory, stopping):
                return self._prove(file, sources, directory, made_by)
        raise ArchiveUnavailable(
            f"other rollers took {_MOST_TRIES} numbers for the gaps of {self._day}, bucket "
            f"{bucket:02d}"
        )

    def why_wrong(self, directory: Path) -> list[str]:
        """What is wrong with the stored files."""
        stored, wrong = self.stored(), list[str]()
        for file in sorted(stored.files | stored.manifests):
            if file not in stored.files:
                wrong.append(f"{file.key}: it has a manifest, and is not there")
            elif file in stored.manifests:
                why = self._why_not_as_proved(file, directory)
                wrong += [f"{file.key}: {why}"] if why else []
            elif file == stored.newest(file.bucket):
                wrong.append(f"{file.key}: it is not proved yet")
        return wrong

    def _sources_of_all(self) -> list[_Sources]:
        """Of each bucket, in order."""
        objects = DayObjects(self._archive, self._day)
        if not objects.index.keys:
            return []
        of_day = manifests_of(objects)
        of_day_before = manifests_of(DayObjects(self._archive, Day.of(self._day.start - 1)))
        return [
            _Sources(
                bucket,
                objects.buckets,
                tuple(manifest for manifest in of_day if manifest.file.bucket == bucket),
                tuple(
                    manifest
                    for manifest in of_day_before
                    if share_homes(bucket, objects.buckets, manifest.file.bucket, manifest.buckets)
                ),
                tuple(objects.index.keys),
            )
            for bucket in range(objects.buckets)
        ]

    def _is_current(self, sources: _Sources, stored: StoredGapFiles) -> bool:
        newest = stored.newest(sources.bucket)
        if newest is None or newest not in stored.manifests:
            return False
        try:
            return self.manifest(newest).made_from == sources.digest
        except TableDamaged:  # a further file replaces it, and `tables verify` names it
            return False

    def _was_left_unproved(
        self, newest: GapFile, sources: _Sources, stored: StoredGapFiles
    ) -> bool:
        """Whether another roller put this file of the same sources, and not its manifest."""
        info = None if newest in stored.manifests else self._archive.head(newest.key)
        return info is not None and info.metadata.get(_MADE_FROM) == sources.digest

    def _put(
        self, file: GapFile, sources: _Sources, directory: Path, stopping: Callable[[], bool]
    ) -> bool:
        """Write the file and put it. False if another roller has taken its number."""
        manifests = [*sources.of_day_before, *sources.of_day]
        # The day tables lie there meanwhile, and the file of gaps is smaller than they are.
        ensure_room_beside_logs(
            directory, 2 * sum(manifest.size for manifest in manifests), self._kept_free
        )
        with tempfile.TemporaryDirectory(dir=directory, prefix="gaps-") as own:
            path = Path(own) / f"{file.name}.parquet"
            rows = write_gap_file(
                path,
                gaps_of_bucket(
                    self._archive,
                    self._day,
                    manifests,
                    Path(own),
                    belongs=lambda home: bucket_of(home, sources.buckets) == sources.bucket,
                    stopping=stopping,
                ),
                place=(file.bucket, file.number),
            )
            metadata = {_MADE_FROM: sources.digest, "rows": str(rows)}
            with crash_points.around("put the gaps"), suppress(AlreadyThere):
                self._archive.put_file(file.key, path, metadata)
                return True
        info = self._archive.head(file.key)  # it may be this roller's own, if the answer was lost
        return info is not None and info.metadata.get(_MADE_FROM) == sources.digest

    def _prove(
        self, file: GapFile, sources: _Sources, directory: Path, made_by: str
    ) -> GapManifest:
        """Read the file back, and put its manifest."""
        info = self._archive.head(file.key)
        if info is None:
            raise ArchiveUnavailable(f"{file.key} was put, and {self._archive.url} has it not")
        with tempfile.TemporaryDirectory(dir=directory, prefix="gaps-") as own:
            path = Path(own) / file.name
            try:
                self._archive.get_file(file.key, path, info.size)
                rows = _rows_in(path)
            except (Unreadable, KeyError, OSError, pa.ArrowException) as exc:
                raise ArchiveUnavailable(f"{file.key} cannot be read back: {exc}") from exc
            digest = _sha256_of(path)
        if str(rows) != info.metadata.get("rows"):
            raise TableDamaged(
                f"{file.key} has {rows} rows, and {info.metadata.get('rows')} were put: delete "
                f"the day's tables with `eagle-logger tables remove --date {file.day}`, and build "
                "them again"
            )
        manifest = GapManifest(file, sources.digest, rows, info.size, digest, made_by)
        with crash_points.around("put the gaps' manifest"), suppress(AlreadyThere):
            self._archive.put(file.manifest_key, manifest.to_bytes(), {"rows": str(rows)})
        return manifest

    def _why_not_as_proved(self, file: GapFile, directory: Path) -> str | None:
        try:
            manifest = self.manifest(file)
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix="verify-") as own:
                path = Path(own) / file.name
                self._archive.get_file(file.key, path, manifest.size)
                if _sha256_of(path) != manifest.object_sha256:
                    return "its bytes are not those of its manifest"
        except (KeyError, Unreadable, TableDamaged) as exc:
            return str(exc)
        return None


def _rows_in(path: Path) -> int:
    """Reading every row on the way."""
    with parquet.ParquetFile(path) as file:
        return sum(batch.num_rows for batch in file.iter_batches(use_threads=False))


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
