"""Files that are there whole, and stay there after power loss."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs import crash_points

MODE = 0o600
"""Who may read the files: when a household is at home is nobody else's business."""
_OF_THE_VOLUME = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
TEMPORARY = ".new"
"""How the name of an unfinished file ends; such a file left by a killed process may be removed."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into DiskUnavailable, naming the path."""
    try:
        yield
    except OSError as exc:
        raise disk_unavailable(exc, path) from exc


def disk_unavailable(refused: OSError, path: Path) -> DiskUnavailable:
    if refused.errno in (errno.EMFILE, errno.ENFILE):
        advice = "Raise the limit of open files (ulimit -n)"
    else:
        advice = "Free some space or repair the log volume"
    return DiskUnavailable(
        f"{refused.strerror or refused}: {refused.filename or path}. {advice}; fetching resumes by itself."
    )


def concerns_whole_volume(failed: BaseException) -> bool:
    """Whether the operating system would refuse this for every other file of the volume too."""
    refused = failed if isinstance(failed, OSError) else failed.__cause__
    return isinstance(refused, OSError) and refused.errno in _OF_THE_VOLUME


def sync_directory(path: Path) -> None:
    """Make the names in this folder durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, how: int) -> None:
    fd = os.open(path, how | os.O_CLOEXEC)
    try:
        crash_points.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, root: Path) -> None:
    """Make this folder and those between it and `root`, durably."""
    path.mkdir(parents=True, exist_ok=True)
    for folder in parents_up_to(path, root):
        sync_directory(folder)


def make_root(path: Path) -> None:
    """Make this folder and whatever leads to it, durably."""
    path = path.absolute()
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    # The last two are synced even if they are there: who made them may have been killed before it
    # did that.
    for folder in dict.fromkeys([*missing, path, path.parent]):
        with suppress(PermissionError):  # a folder that may be passed through, but not read
            sync_directory(folder.parent)
    sync_directory(
        path
    )  # refused where the volume has become read-only, though statvfs may not say so


def parents_up_to(path: Path, root: Path) -> list[Path]:
    """The folders whose names lead to `path`, from its parent up to and including `root`."""
    depth = len(path.relative_to(root).parts)
    return list(path.parents)[:depth]


def sync_file(path: Path) -> None:
    """Make what is written in this file durable."""
    _sync(path, os.O_RDONLY)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` there whole, whoever is killed meanwhile. Not synced: a power loss may leave
    half of it, or nothing."""
    crash_points.rename(_write_temporary(path, content, synced=False), path)


def create_file(path: Path, content: bytes) -> bool:
    """Put `content` there whole and durably; False, and nothing changed, if there is such a file."""
    temporary = _write_temporary(path, content, synced=True)
    try:
        crash_points.link(temporary, path)
        created = True
    except FileExistsError:
        created = False
    crash_points.unlink(temporary)
    sync_directory(path.parent)
    return created


def _write_temporary(path: Path, content: bytes, *, synced: bool) -> Path:
    """A file beside `path` that nobody else uses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{TEMPORARY}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
    try:
        crash_points.write_all(fd, content)
        if synced:
            crash_points.fsync(fd)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(fd)
    return temporary
