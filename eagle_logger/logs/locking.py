"""Locked files: an flock, and the check that the path still names the locked file.

An flock belongs to the open file. A second thread that uses the same descriptor gets the lock too;
a second descriptor of the same process does not.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import OWNER_ONLY
from eagle_logger.logs.disk_errors import disk_errors

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


@contextmanager
def locked_file(path: Path) -> Iterator[int | None]:
    """A descriptor of the file at `path`, locked; None if there is no such file."""
    fd = _open_locked(path)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


@contextmanager
def lock_or_not(path: Path) -> Iterator[bool]:
    """Make and lock a lock file at `path`, and remove it at the end. False, without waiting, if
    another descriptor has locked it."""
    fd = _try_lock(path)
    if fd is None:
        yield False
        return
    try:
        yield True
    finally:
        try:
            with disk_errors(path), suppress(FileNotFoundError):
                crash_points.unlink(path)
        finally:
            os.close(fd)  # a lock file that could not be removed must not stay locked


def _open_locked(path: Path) -> int | None:
    while True:
        try:
            fd = os.open(path, FLAGS)
        except FileNotFoundError:
            return None
        fcntl.flock(fd, fcntl.LOCK_EX)
        if _is_at(fd, path):
            return fd
        os.close(fd)


def _try_lock(path: Path) -> int | None:
    while True:
        fd = os.open(path, FLAGS | os.O_CREAT, OWNER_ONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if _is_at(fd, path):
            return fd
        os.close(fd)


def _is_at(fd: int, path: Path) -> bool:
    """Whether `path` still names this open file. Between opening and locking, another process may
    have sealed or removed it."""
    opened = os.fstat(fd)
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return (named.st_ino, named.st_dev) == (opened.st_ino, opened.st_dev)
