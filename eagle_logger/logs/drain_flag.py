"""Whether this log volume takes new readings. A file on it says that it should take none. A lock on
another file shows that a process may still add some.

<root>/draining   exists while the node is drained
<root>/taking     locked (shared) by each process that takes fetches, until its last visit is synced

Both lie on the volume because the volume is the node: every process that mounts it obeys, whatever
its host is called and wherever Redis is. The kernel releases the lock of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import (
    OWNER_ONLY,
    create_file,
    make_directories,
    sync_directory,
)
from eagle_logger.logs.disk_errors import disk_errors

DRAINING = "draining"
TAKING = "taking"

_CONTENT = b"This node takes no fetches until you run `eagle-logger drain --undo`.\n"


class NodeLock:
    """The right to add readings to a volume, until it is released or the process ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        os.close(self._fd)


class DrainFlag:
    """The two files of the volume at `root` (settings.logs_dir). Blocking. What the operating
    system refuses is raised as DiskUnavailable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._flag = root / DRAINING

    def is_set(self) -> bool:
        return self._flag.exists()

    def set(self) -> bool:
        """From now on no process takes fetches for this volume. Durable. False if the flag was set
        already."""
        with disk_errors(self._flag):
            make_directories(self._root)
            return create_file(self._flag, _CONTENT)

    def clear(self) -> bool:
        """Let the volume take fetches again. Durable. False if the flag was not set."""
        with disk_errors(self._flag):
            try:
                crash_points.unlink(self._flag)
            except FileNotFoundError:
                return False
            sync_directory(self._root)
            return True

    def lock(self) -> NodeLock | None:
        """Needed before anything is fetched. None while the volume is drained."""
        with disk_errors(self._root):
            make_directories(self._root)
            fd = self._open_lock()
            # This waits for an instant at most: `is_locked` releases its lock at once.
            fcntl.flock(fd, fcntl.LOCK_SH)
        # Only now, with the lock: if the flag is set later, the drainer waits for this process.
        if self.is_set():
            os.close(fd)
            return None
        return NodeLock(fd)

    def is_locked(self) -> bool:
        """Whether a process takes fetches, or has not finished those it took."""
        with disk_errors(self._root):
            fd = self._open_lock()
        try:
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            return True
        finally:
            os.close(fd)

    def _open_lock(self) -> int:
        return os.open(self._root / TAKING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
