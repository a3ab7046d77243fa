"""The lock that appending, repairing and sealing take, and the check that the locked file still is
the one meant.

A flock belongs to the open file: within a process, a second thread on the same descriptor gets it
too. Whoever shares a descriptor needs a lock of its own around it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.logs.disk_errors import disk_errors

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


def is_at(found: os.stat_result, path: Path) -> bool:
    """Whether `path` still names that file: between opening and locking it may have been sealed or
    removed."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return now.st_ino == found.st_ino and now.st_dev == found.st_dev


@contextmanager
def locked_file(path: Path) -> Iterator[int | None]:
    """The file at `path`, open and locked; None if there is no such file."""
    fd = _open_locked(path)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _open_locked(path: Path) -> int | None:
    while True:
        try:
            fd = os.open(path, FLAGS)
        except FileNotFoundError:
            return None
        fcntl.flock(fd, fcntl.LOCK_EX)
        if is_at(os.fstat(fd), path):
            return fd
        os.close(fd)


@contextmanager
def lock_or_not(path: Path) -> Iterator[bool]:
    """Hold the lock file at `path`, made for this and removed at the end; False if somebody else
    holds it."""
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


def _try_lock(path: Path) -> int | None:
    while True:
        fd = os.open(path, FLAGS | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if is_at(os.fstat(fd), path):
            return fd
        os.close(fd)
