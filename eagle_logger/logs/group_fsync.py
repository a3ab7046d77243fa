"""Group commit: one `syncfs` makes the appends of many files, and of many threads, durable.

The kernel reports a write error once to each open descriptor of the file system. So one descriptor
is kept open from before the first write, only one thread at a time syncs on it, and an error fails
every window that was open when it came to light.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.logs.free_space import refuse_read_only

_REPORTING = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x01021994: "tmpfs",
}
"""statfs(2) magic numbers of file systems whose syncfs reports their own write errors. An overlay's
does not."""


def reports_errors(path: Path) -> bool:
    """Whether a `syncfs` there can be trusted: Linux 5.8 or later, and a file system known to pass
    its errors on."""
    uname = os.uname()
    if uname.sysname != "Linux" or _release(uname.release) < (5, 8):
        return False
    return _magic(path) in _REPORTING


def _release(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _magic(path: Path) -> int:
    """The first word of `struct statfs`."""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(os.fsencode(path), buffer) != 0:
        return 0
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


class GroupCommit:
    """Windows of appends to one file system. `begin` before the first write, `commit` after the
    last."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.device = os.fstat(self._fd).st_dev
        """The file system that a commit speaks for; a folder below may be a link to another."""
        self._changed = threading.Condition()
        self._running = False
        self._started = 0
        self._finished = 0
        self._failures = 0
        self._last: OSError | None = None

    def begin(self) -> int:
        """A window: what fails from now on concerns it."""
        with self._changed:
            return self._failures

    def commit(self, window: int) -> None:
        """Return when everything written before this call is durable. Raises OSError if any of the
        window may not be."""
        with self._changed:
            mine = self._started + 1
            while self._finished < mine:
                if self._running:
                    self._changed.wait()
                else:
                    self._sync()
            if self._failures != window and self._last is not None:
                raise OSError(self._last.errno, self._last.strerror)

    def close(self) -> None:
        with self._changed:
            while self._running:
                self._changed.wait()
            os.close(self._fd)

    def abandon(self) -> None:
        """In a forked child: close the descriptor and nothing else."""
        os.close(self._fd)

    def _sync(self) -> None:
        """Sync once, for everybody who waits; called and left with the lock held, which is given up
        meanwhile."""
        self._running = True
        self._started += 1
        self._changed.release()
        failed: OSError | None = None
        try:
            crash_points.syncfs(self._fd)
            refuse_read_only(self._root)
        except OSError as exc:
            failed = exc
        finally:
            self._changed.acquire()
            self._running = False
            self._finished = self._started
            if failed is not None:
                self._failures += 1
                self._last = failed
            self._changed.notify_all()
