"""The log files that a writer keeps open, few enough for the process's limit of descriptors.

An open file saves more than half of an append's time. One thread uses it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eagle_logger.disk.atomic_files import OWNER_ONLY
from eagle_logger.logs.file_names import sealed_bytes
from eagle_logger.logs.locking import FLAGS

SPARE_DESCRIPTORS = 1024
"""Descriptors that log files leave to the rest of the process."""
_LEAST_SHARE = 4
"""Log files may always use this part of the descriptors, a fourth, even if they leave fewer."""
_IDLE_AFTER_S = 30.0
"""A file that nobody appended to for so long is closed first when another one is to be opened."""
_MOST_CLOSED_AT_ONCE = 500
"""Unused files that one append closes. At the turn of the hour all files become unused, and an
append must not wait until all of them are closed."""


@dataclass(slots=True, eq=False)
class OpenFile:
    """A log file and its descriptor."""

    path: str
    fd: int
    device: int
    inode: int
    sealed_size: int
    """Bytes in the sealed files of the same user and hour when this file was opened."""
    size: int = -1
    """The size after our last append; -1 while the file is not known to end with a newline."""
    names_synced: bool = False
    """Whether the folders that lead to the file have been synced since it was opened."""
    used: float = 0.0

    def lock(self) -> int | None:
        """Take the file's flock, and return the file's size; None if its path names another file or
        none, because it was sealed or removed."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        try:
            stat = os.stat(self.path)  # noqa: PTH116 - a Path would be made for every append
        except FileNotFoundError:
            return None
        return stat.st_size if (stat.st_ino, stat.st_dev) == (self.inode, self.device) else None

    def unlock(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def is_same_file(self, fd: int, *, size: int) -> bool:
        """Whether this descriptor is of the same file, and the file has this size."""
        stat = os.fstat(fd)
        return (stat.st_dev, stat.st_ino, stat.st_size) == (self.device, self.inode, size)


class OpenFiles:
    """At most `limit` files are open at once; fewer if the process would have fewer than `spare`
    descriptors left for others."""

    def __init__(self, limit: int, spare: int) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = (
            limit
            if soft == resource.RLIM_INFINITY
            else max(1, min(limit, max(soft - spare, soft // _LEAST_SHARE)))
        )
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        """The file used last is the last one."""

    def open(self, path: str) -> OpenFile:
        """The file at `path`, made if there is none. Another file is closed if too many are
        open."""
        file = self._files.get(path)
        if file is None:
            if len(self._files) >= self.limit:
                self.close(self._least_useful())
            file = self._files[path] = self._opened(path)
        else:
            self._files.move_to_end(path)
        file.used = time.monotonic()
        return file

    def close(self, file: OpenFile) -> None:
        """Does nothing if the file is closed."""
        if self._files.get(file.path) is file:
            del self._files[file.path]
            with suppress(OSError):
                os.close(file.fd)

    def close_unused(self, seconds: float) -> None:
        """Close files that were not used for so long: a removed file keeps its space while it is
        open."""
        before = time.monotonic() - seconds
        for _ in range(_MOST_CLOSED_AT_ONCE):
            oldest = next(iter(self._files.values()), None)
            if oldest is None or oldest.used > before:
                return
            self.close(oldest)

    def close_all(self) -> None:
        for file in list(self._files.values()):
            self.close(file)

    def _least_useful(self) -> OpenFile:
        """The file used least recently if it is idle, else the one used most recently.

        The users of a fleet come in turn. If there is one file more than fit, and always the least
        recently used one were closed, every file would be closed just before it is wanted again.
        """
        oldest = next(iter(self._files.values()))
        if oldest.used < time.monotonic() - _IDLE_AFTER_S:
            return oldest
        return next(reversed(self._files.values()))

    def _opened(self, path: str) -> OpenFile:
        try:
            fd = _open_or_create(path)
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.close_all()
            fd = _open_or_create(path)
        try:
            stat, sealed_size = os.fstat(fd), sealed_bytes(Path(path), time.time())
        except OSError:
            os.close(fd)
            raise
        return OpenFile(path, fd, stat.st_dev, stat.st_ino, sealed_size)


def _open_or_create(path: str) -> int:
    while True:
        try:
            return os.open(path, FLAGS | os.O_CREAT, OWNER_ONLY)
        except FileNotFoundError:
            # Rotation removes an empty folder at any moment, also between these two calls.
            with suppress(FileNotFoundError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
