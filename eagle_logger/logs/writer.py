"""Appending readings to the log files: whole lines, which are durable when `append` returns.

For each file of a batch, the writer takes the file's lock, cuts off a torn last line, writes once
and gives the lock back. Then it syncs: a few files one by one, more of them all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from eagle_logger.core import paths
from eagle_logger.core.hours import Hour
from eagle_logger.core.sealing import LARGEST_HOUR
from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import make_directories, sync_directory
from eagle_logger.logs.disk_errors import disk_errors
from eagle_logger.logs.file_names import parents_up_to
from eagle_logger.logs.free_space import ensure_room, refuse_read_only
from eagle_logger.logs.group_fsync import GroupFsync, reports_errors
from eagle_logger.logs.locking import locked_file
from eagle_logger.logs.open_files import SPARE_DESCRIPTORS, OpenFile, OpenFiles
from eagle_logger.logs.torn_line import cut_torn_line

MOST_FILES_SYNCED_SINGLY = 3
"""The files of a larger batch are synced by one `syncfs`, which is then quicker."""
UNUSED_FILE_CLOSED_AFTER_S = 300.0
"""An hour's files are then closed, as a rule, before they are sealed."""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What one call of `append` did.

    `fsyncs` counts those of folders and each `syncfs` too. `torn` counts the torn last lines that
    were cut off and kept aside; a killed process leaves such a line. `left_out` counts, by cloud
    id, the lines that were not written because their user's hour has `LARGEST_HOUR` bytes.
    """

    bytes: int = 0
    files: int = 0
    fsyncs: int = 0
    torn: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


class _Appended(NamedTuple):
    """What a batch added to one file: the bytes from `start` to `end`."""

    file: OpenFile
    start: int
    end: int
    torn: bool
    left_out: int


class LogWriter:
    """Appends to the log files below `root` (settings.logs_dir). Blocking.

    One thread of a process uses it: `fetching/log_volume.py` has that thread. Any number of other
    processes, and other LogWriters, may use the same folder. It must not be used on both sides of a
    fork, because a descriptor shares its lock with the parent's.

    The writer keeps at most `max_open` files open. It leaves `spare` of the process's descriptors
    to others, or three fourths if there are too few for that. It writes nothing while fewer than
    `min_free_disk` bytes are free.
    """

    def __init__(
        self,
        root: Path,
        *,
        shards: int,
        max_open: int,
        min_free_disk: int,
        spare: int = SPARE_DESCRIPTORS,
    ) -> None:
        self.root = root
        self._max_open = max_open
        self._spare = spare
        self._min_free_disk = min_free_disk
        self._files: OpenFiles | None = None
        self._group: GroupFsync | None = None

        @lru_cache(65_536)
        def path(cloud_id: str, hour: Hour) -> str:
            return f"{root}/{paths.log_file(cloud_id, hour, shards)}"

        self._path = path

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult:
        """Add complete lines to the log file of each (cloud id, hour), durably. A user's hour takes
        at most `LARGEST_HOUR` bytes.

        Raises DiskUnavailable if a line may not be durable. No torn line is left then, and of the
        batch as little as possible. The caller may append the whole batch again: sealing removes a
        line that was written twice.
        """
        content = {key: b"".join(lines) for key, lines in batch.items() if lines}
        if not all(data.endswith(b"\n") for data in content.values()):
            raise ValueError("every line ends with a newline")
        with disk_errors(self.root):
            files = self._ensure_open()
            ensure_room(self.root, self._min_free_disk)
            files.close_unused(UNUSED_FILE_CLOSED_AFTER_S)
            appended: dict[tuple[str, Hour], _Appended] = {}
            try:
                fsyncs = self._append_and_sync(files, content, appended)
            except OSError:
                _withdraw(files, appended.values())
                raise
        left_out: dict[str, int] = {}
        for (cloud_id, _), added in appended.items():
            if added.left_out:
                left_out[cloud_id] = left_out.get(cloud_id, 0) + added.left_out
        return AppendResult(
            bytes=sum(added.end - added.start for added in appended.values()),
            files=len(appended),
            fsyncs=fsyncs,
            torn=sum(added.torn for added in appended.values()),
            left_out=left_out,
        )

    def check(self) -> None:
        """Raises DiskUnavailable while the volume is read-only, or has less free space than
        `min_free_disk`."""
        with disk_errors(self.root):
            self._ensure_open()
            ensure_room(self.root, self._min_free_disk)

    def close(self) -> None:
        """Close the files. The next append opens them again."""
        files, self._files = self._files, None
        group, self._group = self._group, None
        if files is not None:
            files.close_all()
        if group is not None:
            group.close()

    def _ensure_open(self) -> OpenFiles:
        """The files, made ready at first use, and again after `close`."""
        if self._files is None:
            make_directories(self.root)
            self._group = GroupFsync(self.root) if reports_errors(self.root) else None
            self._files = OpenFiles(self._max_open, self._spare)
        return self._files

    def _append_and_sync(
        self,
        files: OpenFiles,
        content: Mapping[tuple[str, Hour], bytes],
        appended: dict[tuple[str, Hour], _Appended],
    ) -> int:
        """Fill `appended` file by file, and return the number of fsyncs."""
        group = self._group if len(content) > MOST_FILES_SYNCED_SINGLY else None
        synced: list[OpenFile] = []
        for key, data in content.items():
            appended[key] = self._append_to_file(files, self._path(*key), data)
            file = appended[key].file
            # A folder below the root may be a link to another file system.
            if group is None or file.device != group.device:
                crash_points.fsync(file.fd)
                synced.append(file)
        folders = self._sync_names([file for file in synced if not file.names_synced])
        if group is not None:
            group.sync()
        refuse_read_only(self.root)
        return len(synced) + folders + (group is not None)

    def _append_to_file(self, files: OpenFiles, path: str, data: bytes) -> _Appended:
        file, size = _locked(files, path)
        try:
            torn = False
            if size != file.size:
                size, torn = cut_torn_line(file.fd, Path(path).name, self.root, size)
            data, left_out = _fitting(data, LARGEST_HOUR - file.sealed_size - size)
            _write(file, data, size)
            return _Appended(file, size, file.size, torn, left_out)
        finally:
            file.unlock()

    def _sync_names(self, files: Sequence[OpenFile]) -> int:
        """Make the names that lead to these files durable, and return the number of fsyncs."""
        folders = {folder for file in files for folder in parents_up_to(Path(file.path), self.root)}
        for folder in folders:
            # A folder is gone if its files were sealed, archived and removed meanwhile.
            with suppress(FileNotFoundError):
                sync_directory(folder)
        for file in files:
            file.names_synced = True
        return len(folders)


def _locked(files: OpenFiles, path: str) -> tuple[OpenFile, int]:
    """The file at `path`, locked and not sealed, and its size."""
    while True:
        file = files.open(path)
        try:
            size = file.lock()
        except OSError:
            files.close(file)
            raise
        if size is not None:
            return file, size
        files.close(file)


def _fitting(data: bytes, room: int) -> tuple[bytes, int]:
    """The whole lines that fit into `room` bytes, and how many lines do not fit."""
    if len(data) <= room:
        return data, 0
    end = data.rfind(b"\n", 0, max(room, 0)) + 1
    return data[:end], data.count(b"\n", end)


def _write(file: OpenFile, data: bytes, size: int) -> None:
    """Append to the locked file all of `data`, or nothing: if the disk takes only a part, that part
    is cut off again."""
    file.size = -1
    try:
        crash_points.write_all(file.fd, data)
    except OSError:
        with suppress(OSError):
            crash_points.truncate(file.fd, size)
        raise
    file.size = size + len(data)


def _withdraw(files: OpenFiles, appended: Iterable[_Appended]) -> None:
    """Take back what a failed batch added, and close its files.

    A file stays as it is if another process has appended to it or sealed it since: it holds whole
    lines, which do no harm. An fsync that failed must not be repeated on the same descriptor,
    because the kernel has marked the lost pages as clean.
    """
    for added in appended:
        file = added.file
        files.close(file)
        with suppress(OSError), locked_file(Path(file.path)) as fd:
            if fd is not None and file.is_same_file(fd, size=added.end):
                crash_points.truncate(fd, added.start)
