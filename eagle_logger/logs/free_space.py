"""Whether a volume can take more. The writer asks before it writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from eagle_logger.errors import DiskUnavailable


def ensure_room(root: Path, wanted: int) -> None:
    """Raises DiskUnavailable unless `wanted` bytes and a name for a file are free; OSError if the
    volume is read-only."""
    stat = os.statvfs(root)
    _refuse_read_only(stat, root)
    free = stat.f_bavail * stat.f_frsize
    if free < wanted:
        raise DiskUnavailable(
            f"{free / 1e6:.0f} MB are free on the log volume, fewer than the {wanted / 1e6:.0f} MB "
            f"of EAGLE_MIN_FREE_DISK: {root}. Free some space; fetching resumes by itself."
        )
    if stat.f_files and not stat.f_favail:
        raise DiskUnavailable(
            f"The log volume has no inode left for another file: {root}. Remove some; fetching "
            "resumes by itself."
        )


def ensure_room_beside_logs(directory: Path, needed: int, kept_free: int) -> None:
    """Raises DiskUnavailable unless `directory` takes so many bytes and leaves `kept_free` bytes to
    the log files, which may lie on the same volume."""
    stat = os.statvfs(directory)
    free = stat.f_bavail * stat.f_frsize
    if free < needed + kept_free:
        raise DiskUnavailable(
            f"{free / 1e6:.0f} MB are free where {directory} is. The file to be made needs "
            f"{needed / 1e6:.0f} MB, beside the {kept_free / 1e6:.0f} MB of EAGLE_MIN_FREE_DISK. "
            "Free some space; the next round tries again."
        )


def refuse_read_only(root: Path) -> None:
    """Raises OSError if the volume is mounted read-only. A sync of such a volume succeeds, even if
    what was written before is lost."""
    _refuse_read_only(os.statvfs(root), root)


def _refuse_read_only(stat: os.statvfs_result, root: Path) -> None:
    if stat.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(root))
