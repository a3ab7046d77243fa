"""The system calls that change the disk, each with a step before and after it.

Nothing happens at a step in production. A crash test installs a hook, which ends the process or
raises the OSError of a failing disk, at every step in turn.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Hook = Callable[[str], None]

_hook: Hook | None = None
_libc = ctypes.CDLL(None, use_errno=True)


def install(hook: Hook | None) -> None:
    """From now on call `hook` with the name of each step, such as `before write` or `after rename`.
    None ends that."""
    global _hook  # noqa: PLW0603 - one seam for the whole process, used by tests only
    _hook = hook


def step(name: str) -> None:
    if _hook is not None:
        _hook(name)


@contextmanager
def around(name: str) -> Iterator[None]:
    """A step before the block, and one after it."""
    step(f"before {name}")
    yield
    step(f"after {name}")


# The calls of every append, `write`, `fsync` and `syncfs`, have no `around`: it costs time.


def write(fd: int, data: bytes) -> int:
    """One write, which may be short. Returns how many bytes it took."""
    step("before write")
    written = os.write(fd, data)
    step("after write")
    return written


def write_all(fd: int, data: bytes) -> None:
    """Write until everything is written. If this raises OSError, a part may be written."""
    rest = data
    while rest:
        rest = rest[write(fd, rest) :]


def fsync(fd: int) -> None:
    step("before fsync")
    os.fsync(fd)
    step("after fsync")


def syncfs(fd: int) -> None:
    """Make everything durable that was written to this descriptor's file system. Reports each write
    error once to each open descriptor."""
    step("before syncfs")
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    step("after syncfs")


def truncate(fd: int, size: int) -> None:
    with around("truncate"):
        os.ftruncate(fd, size)


def rename(source: Path, target: Path) -> None:
    """Replaces the file `target` if there is one."""
    with around("rename"):
        source.rename(target)


def link(source: Path, target: Path) -> None:
    """Give a file a second name. Raises FileExistsError where a rename would replace `target`."""
    with around("link"):
        os.link(source, target)


def unlink(path: Path) -> None:
    with around("unlink"):
        path.unlink()


def rmdir(path: Path) -> None:
    """Raises OSError unless the folder is empty."""
    with around("rmdir"):
        path.rmdir()
