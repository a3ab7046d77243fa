"""The system calls that change the disk, each with a step before and after it.

Nothing happens at a step in production. A crash test installs a hook to end the process, or to
raise the OSError of a failing disk, at every step in turn.
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
    """Call `hook` with each step's name, such as `before write` or `after rename`, from now on;
    None ends that."""
    global _hook  # noqa: PLW0603 - one seam for the whole process, used by tests only
    _hook = hook


def step(name: str) -> None:
    if _hook is not None:
        _hook(name)


@contextmanager
def around(name: str) -> Iterator[None]:
    """A step before and one after the body."""
    step(f"before {name}")
    yield
    step(f"after {name}")


def write(fd: int, data: bytes) -> int:
    """One write, which may be short; how many bytes it took."""
    step("before write")
    written = os.write(fd, data)
    step("after write")
    return written


def write_all(fd: int, data: bytes) -> None:
    """Write on until everything is written. Raises OSError with a part of it written."""
    view = data
    while view:
        view = view[write(fd, view) :]


def fsync(fd: int) -> None:
    step("before fsync")
    os.fsync(fd)
    step("after fsync")


def syncfs(fd: int) -> None:
    """Make everything written to this descriptor's file system durable. Reports each write error
    once per open descriptor."""
    step("before syncfs")
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    step("after syncfs")


def truncate(fd: int, size: int) -> None:
    with around("truncate"):
        os.ftruncate(fd, size)


def rename(source: Path, target: Path) -> None:
    with around("rename"):
        source.rename(target)


def link(source: Path, target: Path) -> None:
    """Give a file a second name. Raises FileExistsError where a rename would replace what is
    there."""
    with around("link"):
        os.link(source, target)


def unlink(path: Path) -> None:
    with around("unlink"):
        path.unlink()


def rmdir(path: Path) -> None:
    with around("rmdir"):
        path.rmdir()
