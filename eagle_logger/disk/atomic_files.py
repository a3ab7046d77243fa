"""Writing a file so that it is there whole or not at all, whichever process is killed meanwhile.

`durable` means after power loss too: the file's content is synced before the file gets its name,
and the name before the function returns. Only the owner may read the files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from eagle_logger.disk import crash_points

OWNER_ONLY = 0o600
"""The mode of every file: its readings show when a household is at home."""
UNFINISHED = ".new"
"""The ending of an unfinished file's name. A killed process leaves such a file, and it may be
removed."""


def write_new_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Make the file `path`, durably but for its name, and leave nothing behind if that fails.
    Raises FileExistsError if there is such a file."""
    fd = open_new(path)
    try:
        crash_points.write_all(fd, content)
        if durable:
            crash_points.fsync(fd)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Give `path` this content, in place of the file of that name if there is one. Unless it is
    `durable`, a power loss may leave half of the content, or nothing."""
    crash_points.rename(_write_unfinished(path, content, durable=durable), path)
    if durable:
        sync_directory(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Make the file `path` durably. Returns False, and changes nothing, if there is such a file."""
    unfinished = _write_unfinished(path, content, durable=True)
    try:
        crash_points.link(unfinished, path)
        created = True
    except FileExistsError:
        created = False
    crash_points.unlink(unfinished)
    sync_directory(path.parent)
    return created


@contextmanager
def replacement(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that takes the name `path`, durably, when the block ends. If the block
    raises an error, the file is removed and `path` stays as it was."""
    unfinished = _unfinished(path)
    unfinished.unlink(missing_ok=True)
    try:
        with open(open_new(unfinished), "w", encoding="utf-8") as file:
            yield file
            file.flush()
            crash_points.fsync(file.fileno())
        crash_points.rename(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def make_directories(path: Path) -> None:
    """Make this folder and the missing ones above it, durably. Raises OSError on a volume that has
    become read-only, even if the folder is there."""
    path = path.absolute()
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    # The last two names are synced in any case: the process that made those folders may have been
    # killed before it synced them.
    for folder in dict.fromkeys([*missing, path, path.parent]):
        with suppress(PermissionError):  # a folder that may be passed through, but not read
            sync_directory(folder.parent)
    sync_directory(path)  # shows that a volume is read-only where statvfs does not say so


def sync_directory(path: Path) -> None:
    """Make the names in this folder durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make the content of this file durable."""
    _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        crash_points.fsync(fd)
    finally:
        os.close(fd)


def _write_unfinished(path: Path, content: bytes, *, durable: bool) -> Path:
    unfinished = _unfinished(path)
    try:
        write_new_file(unfinished, content, durable=durable)
    except FileExistsError:  # left by a process of the same number that was killed
        unfinished.unlink()
        write_new_file(unfinished, content, durable=durable)
    return unfinished


def _unfinished(path: Path) -> Path:
    """A name beside `path` that no other thread or process uses now."""
    return path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{UNFINISHED}")


def open_new(path: Path) -> int:
    """A descriptor of the new file `path`, for its owner only. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
