"""Whether this log volume takes new readings: a file on it asks, a lock on another one answers.

<root>/draining   is there while the node is drained <root>/taking     locked (shared) by every
process that takes fetches, until the last of its visits is on disk

Both lie on the volume because the volume is the node: whoever mounts it obeys, whatever it is
called and wherever Redis is. The kernel gives back the lock of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import OWNER_ONLY, create_file, make_directories, sync_directory
from eagle_logger.logs.disk_errors import disk_errors

DRAINING = "draining"
TAKING = "taking"

_SAYS = b"This node takes no fetches until somebody runs `eagle-logger drain --undo`.\n"


class NodeLock:
    """The right to add readings to a volume, until it is released or the process ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        os.close(self._fd)


class DrainFlag:
    """The two files of the volume at `root` (settings.logs_dir). Blocking; whatever the disk
    refuses is DiskUnavailable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._flag = root / DRAINING

    def is_asked(self) -> bool:
        return self._flag.exists()

    def ask(self) -> bool:
        """Have nobody take fetches for this volume from now on, durably; False if that was asked
        already."""
        with disk_errors(self._flag):
            make_directories(self._root)
            return create_file(self._flag, _SAYS)

    def undo(self) -> bool:
        """Have it taken in again; False if nobody had asked."""
        with disk_errors(self._flag):
            try:
                crash_points.unlink(self._flag)
            except FileNotFoundError:
                return False
            sync_directory(self._root)
            return True

    def hold(self) -> NodeLock | None:
        """To be had before anything is fetched; None while the volume is drained."""
        with disk_errors(self._root):
            make_directories(self._root)
            fd = self._open()
            # Whoever looks whether anybody holds it has it for an instant only.
            fcntl.flock(fd, fcntl.LOCK_SH)
        if (
            self.is_asked()
        ):  # looked at with the lock in hand: from now on whoever drains waits for us
            os.close(fd)
            return None
        return NodeLock(fd)

    def is_held(self) -> bool:
        """Whether some process takes fetches, or still has some in hand."""
        with disk_errors(self._root):
            fd = self._open()
        try:
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            return True
        finally:
            os.close(fd)

    def _open(self) -> int:
        return os.open(self._root / TAKING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
