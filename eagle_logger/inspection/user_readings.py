"""A user's readings from wherever they lie: open files, sealed files, the archive. In order, each
once, an hour at a time."""

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

    A file is on its way from open to sealed to archived to deleted while it is read; so places are
    looked at in that order, and nothing is missed. Only one hour is held in memory.
    """

    cloud_id: str
    folder: LogFolder
    archive: Archive | None
    """None: only what lies on this log volume."""
    unreadable: int = 0
    """Lines, and whole objects, that could not be read so far."""

    def hours(self) -> list[Hour]:
        """Every hour that there is something of, oldest first. Raises ArchiveUnavailable."""
        local = {hour for hour in self.folder.hours() if self._is_local(hour)}
        return sorted(local.union(hour for _, hour in self._named(f"cloud_id={self.cloud_id}/")))

    def lines(self, hour: Hour) -> list[bytes]:
        """The log lines (without newline) filed under this hour, in order of time, each reading
        once; of readings with one identity and several values all, flagged `conflict`. Raises
        ArchiveUnavailable."""
        entries: list[LogLine] = []
        proven: set[str] = set()
        for file in self._local(hour):
            found = self._entries_of(file)
            if found is not None:
                entries += found
                proven |= self._keys_proven_by(file)
        for key in self._keys(hour):
            if key not in proven:
                entries += self._archived(key)
        return part_of(entries, {}).plain.splitlines()

    def _is_local(self, hour: Hour) -> bool:
        return any(
            self.folder.open_file_of(self.cloud_id, hour, shard).path.exists()
            or self.folder.sealed_files_of(self.cloud_id, hour, shard)
            for shard in self.folder.shards(hour)
        )

    def _local(self, hour: Hour) -> Iterator[LogFile | SealedFile]:
        """Sealed files are listed only after the open one was read: it may have become one of them."""
        for shard in self.folder.shards(hour):
            yield self.folder.open_file_of(self.cloud_id, hour, shard)
            yield from self.folder.sealed_files_of(self.cloud_id, hour, shard)

    def _entries_of(self, file: LogFile | SealedFile) -> list[LogLine] | None:
        """None if it is gone: what it held has moved on."""
        try:
            found = self.folder.read(file)
        except FileNotFoundError:
            return None
        self.unreadable += len(found.bad)
        return found.lines

    def _keys_proven_by(self, file: LogFile | SealedFile) -> set[str]:
        """Objects that hold nothing that this file, read just now, does not hold. The receipt must
        still be there: the file may have been removed, and another have taken its name."""
        if not isinstance(file, SealedFile) or file.receipt is None or file.receipt.key is None:
            return set()
        return {file.receipt.key} if self.folder.receipt_of(file) == file.receipt else set()

    def _keys(self, hour: Hour) -> list[str]:
        prefix = archive_key(self.cloud_id, hour).removesuffix(".jsonl.gz")
        return [key for key, named in self._named(prefix) if named == hour]

    def _named(self, prefix: str) -> Iterator[tuple[str, Hour]]:
        """The archive's objects whose keys begin so, with their hours."""
        for key in self.archive.keys(prefix) if self.archive else ():
            if (named := parse_archive_key(key)) is not None:
                yield key, named[1]

    def _archived(self, key: str) -> list[LogLine]:
        assert self.archive is not None
        try:
            entries, unreadable = read_lines(gunzipped(self.archive.get(key)), self.cloud_id)
        except (KeyError, ValueError, Unreadable):
            self.unreadable += 1
            return []
        except ArchiveUnavailable:
            self.archive.ping()  # raises if the whole archive is away, not just this object
            self.unreadable += 1
            return []
        self.unreadable += len(unreadable)
        return entries
