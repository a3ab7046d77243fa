"""One `syncfs` in place of an fsync of each file of a batch.

The kernel reports a write error to each descriptor of the file system once, if the descriptor was
open when the error occurred. So the writer opens one descriptor before its first write, and keeps
it.

This module uses what Python has no function for:

- **Which:** libc's `statfs`, through ctypes. The first word of its structure is the magic number of
  the file system; the kernel's headers give the numbers. That `syncfs` reports errors is a promise
  of Linux 5.8 and later, but not of every file system.
- **Why, and what it saves:** only the number shows whether `syncfs` can be trusted. On a busy ext4
  disk one `syncfs` for 300 files took 3 to 38 ms, and 300 fsyncs 440 to 1 640.
- **When it breaks:** `tests/canaries/test_statfs.py` shows whether the number stands where it
  should. If not, let `_file_system_magic` return 0. Each file of a batch then has an fsync of its
  own, which is slower, and as safe.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from eagle_logger.disk import crash_points

_FILE_SYSTEMS_REPORTING_ERRORS = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x01021994: "tmpfs",
}
"""statfs(2) magic numbers of file systems whose `syncfs` reports their own write errors. That of an
overlay does not."""
_SYNCFS_REPORTS_ERRORS_SINCE = (5, 8)


def reports_errors(path: Path) -> bool:
    """Whether a `syncfs` there can be trusted: on Linux 5.8 or later, and on a file system that is
    known to report its errors."""
    uname = os.uname()
    if uname.sysname != "Linux" or kernel_version(uname.release) < _SYNCFS_REPORTS_ERRORS_SINCE:
        return False
    return _file_system_magic(path) in _FILE_SYSTEMS_REPORTING_ERRORS


def kernel_version(release: str) -> tuple[int, int]:
    """(6, 1) for `6.1.0-13-amd64`; (0, 0) for a release that is spelled in another way."""
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _file_system_magic(path: Path) -> int:
    """`f_type`, the first word of `struct statfs`: Python's statvfs does not return it. 0 if the
    call fails, which stands for a file system that is not trusted."""
    buffer = ctypes.create_string_buffer(256)  # twice the size of the structure
    if ctypes.CDLL(None).statfs(os.fsencode(path), buffer) != 0:
        return 0
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


class GroupFsync:
    """Syncs the file system that holds `root`. Made before the first write to it."""

    def __init__(self, root: Path) -> None:
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.device = os.fstat(self._fd).st_dev
        """The file system's number. A folder below `root` may be a link to another file system."""

    def sync(self) -> None:
        """Make everything durable that was written before this call. Raises OSError if any write to
        the file system has failed since the last call."""
        crash_points.syncfs(self._fd)

    def close(self) -> None:
        os.close(self._fd)
