"""Open log files, few enough for the process's limit; each used by one thread at a time."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from eagle_logger.disk import crash_points

CLOSED = -1
SPARE = 1024
"""Descriptors of the process that are left to others, if there are no more of them than usual."""
_SHARE = 4
"""Where that would leave less, log files may use a fourth of them."""
_SETTLED = 30.0
"""Seconds without an append after which a file makes way for another. The users of a fleet come in
turn: were the least recently used always the first to go, every file would be closed just before it
is wanted again, once one more than fit is."""
_MOST_CLOSED = 500
"""Unused files closed at once: at the turn of the hour all of them go unused, and appends are not
to wait for that."""


@dataclass(slots=True, eq=False)
class OpenFile:
    """A descriptor. Only the thread that acquired it from the pool may look at it or change it."""

    path: str
    fd: int = CLOSED
    device: int = 0
    inode: int = 0
    size: int = -1
    """As our last append left it; -1 when it is not known to end with a newline."""
    sealed: int = 0
    """Bytes in the sealed files of the same user and hour at the time this file was opened."""
    named: bool = False
    """Whether the names that lead to it have been made durable since it was opened."""
    written: int = 0
    """Appends that somebody wants an fsync for…"""
    synced: int = 0
    """… and how many of these have had it."""
    failed: OSError | None = None
    """Why its fsync failed. It is never tried again on this descriptor: the kernel has marked the
    pages clean."""
    busy: bool = True
    used: float = 0.0

    def lock(self) -> int | None:
        """Take the file's flock; the size it has now, or None if it is not the file at its path any
        more."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        try:
            found = os.stat(self.path)  # noqa: PTH116 - a Path would be made for every append
        except FileNotFoundError:
            return None
        return found.st_size if found.st_ino == self.inode and found.st_dev == self.device else None

    def unlock(self) -> None:
        if self.fd != CLOSED:
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    def sync(self) -> None:
        if self.failed is not None:
            raise self.failed
        try:
            crash_points.fsync(self.fd)
        except OSError as exc:
            self.failed = exc
            raise
        self.synced = self.written


class OpenFiles:
    """At most `limit` files at once, fewer if the process would not have `spare` descriptors for
    others then. A file that makes way is synced first if anybody counts on that; what came of it
    stays noted on the OpenFile."""

    def __init__(self, limit: int, spare: int) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = (
            limit
            if soft == resource.RLIM_INFINITY
            else max(1, min(limit, max(soft - spare, soft // _SHARE)))
        )
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        """In order of their last use."""
        self._open = 0
        self._lock = (
            threading.Lock()
        )  # taken as it is for every append: a Condition around it costs as much as a write does
        self._changed = threading.Condition(self._lock)
        self._waiting = 0

    def acquire(self, path: str) -> OpenFile:
        """The pool's file for this path, for this thread alone until it is released; its descriptor
        may be CLOSED yet."""
        while True:
            with self._lock:
                file, victim = self._claim(path)
            if file is not None:
                return file
            if victim is not None:
                self._close(victim)

    def hold(self, file: OpenFile) -> None:
        """Have this very file to oneself, whatever has become of it."""
        with self._lock:
            while file.busy:
                self._wait()
            file.busy = True

    def release(self, file: OpenFile) -> None:
        """Let others have it. One whose fsync failed is closed."""
        if file.failed is not None and file.fd != CLOSED:
            self.discard(file)
            return
        with self._lock:
            file.busy = False
            file.used = time.monotonic()
            self._notify()

    def discard(self, file: OpenFile) -> None:
        """Close it, and open it anew next time."""
        with self._lock:
            if self._files.get(file.path) is file:
                del self._files[file.path]
        self._close(file)

    def drop(self, file: OpenFile) -> None:
        """Close it if it still is open, whoever else counts on it."""
        self.hold(file)
        if file.fd == CLOSED:
            self.release(file)
        else:
            self.discard(file)

    def abandon(self) -> None:
        """Close the descriptors and nothing else."""
        for file in self._files.values():
            if file.fd != CLOSED:
                os.close(file.fd)

    def close_unused(self, seconds: float) -> None:
        """Close what was not used for so long: a removed file keeps its space for as long as it is
        open."""
        before = time.monotonic() - seconds
        for _ in range(_MOST_CLOSED):
            with self._lock:
                oldest = next(iter(self._files.values()), None)
                if oldest is None or oldest.busy or oldest.used > before:
                    return
                self._evict(oldest)
            self._close(oldest)

    def close_idle(self) -> None:
        """Close every file that no thread is using now."""
        while True:
            with self._lock:
                victim = self._least_recent()
                if victim is None:
                    return
                self._evict(victim)
            self._close(victim)

    def _claim(self, path: str) -> tuple[OpenFile | None, OpenFile | None]:
        """With the lock held: the file if it can be had now, else who makes way for it; neither
        after waiting in vain."""
        file = self._files.get(path)
        if file is not None and not file.busy:
            file.busy = True
            self._files.move_to_end(path)
            return file, None
        if file is None and self._open < self.limit:
            self._open += 1
            file = self._files[path] = OpenFile(path)
            return file, None
        victim = self._making_way() if file is None else None
        if victim is None:
            self._wait()
        else:
            self._evict(victim)
        return None, victim

    def _making_way(self) -> OpenFile | None:
        oldest = self._least_recent()
        if oldest is None or oldest.used < time.monotonic() - _SETTLED:
            return oldest
        return next(file for file in reversed(self._files.values()) if not file.busy)

    def _least_recent(self) -> OpenFile | None:
        """Looks at few: those in use are among the last, or are being synced, by one thread each."""
        return next((file for file in self._files.values() if not file.busy), None)

    def _evict(self, file: OpenFile) -> None:
        file.busy = True
        del self._files[file.path]

    def _close(self, file: OpenFile) -> None:
        """Only for who has the file to itself, and with the file out of the pool. What its fsync
        said is noted on it."""
        try:
            if file.fd != CLOSED and file.failed is None and file.synced < file.written:
                with suppress(OSError):
                    file.sync()
        finally:
            fd, file.fd = file.fd, CLOSED
            if fd != CLOSED:
                with suppress(OSError):
                    os.close(fd)
            with self._lock:
                self._open -= 1
                file.busy = False
                self._notify()

    def _wait(self) -> None:
        self._waiting += 1
        try:
            self._changed.wait()
        finally:
            self._waiting -= 1

    def _notify(self) -> None:
        if self._waiting:
            self._changed.notify_all()
