"""A disk that forgets: what may be left below a folder when the power fails, computed only from
what was synced.

The model stands for no file system in particular, and promises no more than any of them does. A
name is safe once its folder was fsynced; a file has the content that it had at its last fsync; a
syncfs is an fsync of everything. What was not synced may be there, in part, or as zeroes, so four
disks are possible at each moment (`Left`).

It needs a file system that does not reuse inode numbers at once: tmpfs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eagle_logger.disk import crash_points

Image = dict[str, bytes]
"""Path → content. A folder's path ends with a slash."""


class Left(Enum):
    ONLY_WHAT_WAS_SYNCED = auto()
    ALL_NAMES = auto()
    """The names as they were, each with what was synced of its file."""
    A_PIECE = auto()
    """The synced names, and half of what had been written to their files since."""
    ZEROES = auto()
    """The names as they were, and zeroes for what had not been synced."""


class _Name(NamedTuple):
    inode: int
    is_folder: bool


class Moment(NamedTuple):
    """The disks that are possible right after a step. `marks` counts the calls of `mark` so far."""

    step: str
    marks: int
    images: dict[Left, Image]


@dataclass
class Forgetting:
    """Records what would be left below `root` at each moment.

    Steps for which `deaf` is true are carried out but do not count as syncs: so a test shows that a
    missing sync would be noticed.
    """

    root: Path
    wanted: Callable[[], Iterable[Left]]
    """Which of the possible disks to keep, asked at each moment."""
    deaf: Callable[[str], bool] = lambda _: False
    moments: list[Moment] = field(default_factory=list)
    marks: int = 0
    _files: dict[int, bytes] = field(default_factory=dict)
    _folders: dict[int, dict[str, _Name]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def watching(self) -> Iterator[None]:
        steps = ("write", "ftruncate", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
        with pytest.MonkeyPatch.context() as patch:
            for name in steps:
                patch.setattr(os, name, self._recorded(name, getattr(os, name)))
            patch.setattr(os, "fsync", self._recorded("fsync", os.fsync, self._sync))
            syncfs = self._recorded("syncfs", crash_points.syncfs, self._sync_everything)
            patch.setattr(crash_points, "syncfs", syncfs)
            yield

    def mark(self) -> None:
        """From now on, what was promised so far must be left."""
        with self._lock:
            self.marks += 1

    def _recorded(
        self, name: str, call: Callable[..., Any], synced: Callable[[int], None] | None = None
    ) -> Callable[..., Any]:
        def call_and_record(*args: Any, **more: Any) -> Any:
            with self._lock:
                result = call(*args, **more)
                if synced is not None:
                    synced(args[0])
                self.moments.append(
                    Moment(name, self.marks, {left: self._image(left) for left in self.wanted()})
                )
                return result

        return call_and_record

    def _sync(self, fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if not path.is_relative_to(self.root) or self.deaf(
            f"fsync {'folder' if path.is_dir() else 'file'}"
        ):
            return
        inode = os.fstat(fd).st_ino
        if path.is_dir():
            self._folders[inode] = _names_in(path)
        else:
            self._files[inode] = Path(f"/proc/self/fd/{fd}").read_bytes()

    def _sync_everything(self, _: int) -> None:
        if self.deaf("syncfs"):
            return
        for folder, _names, files in os.walk(self.root):
            self._folders[Path(folder).stat().st_ino] = _names_in(Path(folder))
            for name in files:
                path = Path(folder, name)
                self._files[path.stat().st_ino] = path.read_bytes()

    # What would be left ---------------------------------------------------------------------------

    def _image(self, left: Left) -> Image:
        now = self._contents_now() if left in {Left.A_PIECE, Left.ZEROES} else {}
        folders = self._folders_now() if left in {Left.ALL_NAMES, Left.ZEROES} else self._folders
        image: Image = {}

        def add_folder(folder: int, prefix: str) -> None:
            names = folders.get(folder, {})
            for name, (inode, is_folder) in names.items():
                if is_folder:
                    image[f"{prefix}{name}/"] = b""
                    add_folder(inode, f"{prefix}{name}/")
                else:
                    image[prefix + name] = _content(
                        left, self._files.get(inode, b""), now.get(inode, b"")
                    )

        add_folder(self.root.stat().st_ino, "")
        return image

    def _contents_now(self) -> dict[int, bytes]:
        return {
            path.stat().st_ino: path.read_bytes() for path in self.root.rglob("*") if path.is_file()
        }

    def _folders_now(self) -> dict[int, dict[str, _Name]]:
        folders = (Path(folder) for folder, _, _ in os.walk(self.root))
        return {folder.stat().st_ino: _names_in(folder) for folder in folders}


def _names_in(folder: Path) -> dict[str, _Name]:
    return {entry.name: _Name(entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}


def _content(left: Left, synced: bytes, now: bytes) -> bytes:
    unsynced = now[len(synced) :] if now.startswith(synced) else b""
    if left is Left.A_PIECE:
        return synced + unsynced[: len(unsynced) // 2]
    return synced + bytes(len(unsynced)) if left is Left.ZEROES else synced


def lay_out(image: Image, root: Path) -> None:
    """Write the image to a new folder."""
    root.mkdir()
    for name, content in sorted(image.items()):
        path = root / name
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
