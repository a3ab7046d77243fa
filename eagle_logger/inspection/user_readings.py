"""A user's readings from open files, sealed files and the archive, an hour at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eagle_logger.archive.archive import Archive
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import LogLine, read_lines
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.sealing import gunzipped, part_of
from eagle_logger.errors import ArchiveUnavailable, Unreadable
from eagle_logger.logs.folder import LogFile, LogFolder, SealedFile


@dataclass
class UserReadings:
    """One user's readings on this log volume and in the archive.

    Meanwhile a file may go from open to sealed to archived to deleted. So these places are read in
    that order, and nothing is missed. Only one hour is held in memory.
    """

    cloud_id: str
    folder: LogFolder
    archive: Archive | None
    """None: only what lies on this log volume."""
    unreadable: int = 0
    """Lines, and whole objects, that could not be read so far."""

    def hours(self) -> list[Hour]:
        """Every hour with readings, oldest first. Raises ArchiveUnavailable."""
        on_disk = {hour for hour in self.folder.hours() if self._is_on_disk(hour)}
        archived = {hour for _, hour in self._objects(f"cloud_id={self.cloud_id}/")}
        return sorted(on_disk | archived)

    def lines(self, hour: Hour) -> list[bytes]:
        """The log lines (without newline) filed under this hour, in order of time, each reading
        once. If an identity has several values, it returns all of them, flagged `conflict`. Raises
        ArchiveUnavailable."""
        lines: list[LogLine] = []
        keys_read_from_disk: set[str] = set()
        for file in self._files_on_disk(hour):
            lines_of_file = self._read_file(file)
            if lines_of_file is not None:
                lines += lines_of_file
                keys_read_from_disk |= self._keys_covered_by(file)
        for key in self._keys(hour):
            if key not in keys_read_from_disk:
                lines += self._read_object(key)
        return part_of(lines, {}).plain.splitlines()

    def _is_on_disk(self, hour: Hour) -> bool:
        return any(
            self.folder.open_file_of(self.cloud_id, hour, shard).path.exists()
            or self.folder.sealed_files_of(self.cloud_id, hour, shard)
            for shard in self.folder.shards(hour)
        )

    def _files_on_disk(self, hour: Hour) -> Iterator[LogFile | SealedFile]:
        for shard in self.folder.shards(hour):
            yield self.folder.open_file_of(self.cloud_id, hour, shard)
            # Listed only after the caller has read the open file: it may have become one of these.
            yield from self.folder.sealed_files_of(self.cloud_id, hour, shard)

    def _read_file(self, file: LogFile | SealedFile) -> list[LogLine] | None:
        """None if the file is gone: its lines have moved on."""
        try:
            content = self.folder.read(file)
        except FileNotFoundError:
            return None
        self.unreadable += len(content.unreadable)
        return content.readable

    def _keys_covered_by(self, file: LogFile | SealedFile) -> set[str]:
        """The object that holds nothing but lines of this file, which was read just now. The
        receipt must still be there: otherwise the file may have been deleted, and another file
        have taken its name."""
        if not isinstance(file, SealedFile) or file.receipt is None or file.receipt.key is None:
            return set()
        return {file.receipt.key} if self.folder.receipt_of(file) == file.receipt else set()

    def _keys(self, hour: Hour) -> list[str]:
        prefix = archive_key(self.cloud_id, hour).removesuffix(".jsonl.gz")
        return [key for key, hour_of_key in self._objects(prefix) if hour_of_key == hour]

    def _objects(self, prefix: str) -> Iterator[tuple[str, Hour]]:
        """The keys in the archive that begin with `prefix`, with their hours."""
        for key in self.archive.keys(prefix) if self.archive else ():
            if (named := parse_archive_key(key)) is not None:
                yield key, named[1]

    def _read_object(self, key: str) -> list[LogLine]:
        assert self.archive is not None
        try:
            lines, unreadable = read_lines(gunzipped(self.archive.get(key)), self.cloud_id)
        except (KeyError, ValueError, Unreadable):
            self.unreadable += 1
            return []
        except ArchiveUnavailable:
            self.archive.ping()  # raises if the whole archive is away, not just this object
            self.unreadable += 1
            return []
        self.unreadable += len(unreadable)
        return lines
