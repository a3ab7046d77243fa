"""A disk that forgets: what may be left below a folder when the power fails, worked out from what
was synced and nothing else.

The model is no file system's in particular, and kinder than none: a name is there for good once its
folder was fsynced, a file's content is what it was at its last fsync, and a syncfs is an fsync of
everything. What was not synced may be there, or in part, or as zeroes, so four disks are possible
at each moment (`Left`).

It needs a file system that does not use inode numbers again at once: tmpfs.
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
"""Files by their path; a folder that must be there although it is empty ends with a slash."""


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
    """Right after a step; `marks` is how many times the story had said `mark` by then."""

    step: str
    marks: int
    images: dict[Left, Image]


@dataclass
class Forgetting:
    """Records, for everything below `root`, what would be left at each moment. `deaf` steps are
    carried out but do not count: for seeing that a missing sync is found out."""

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
        with pytest.MonkeyPatch.context() as patch:
            for name in (
                "write",
                "ftruncate",
                "rename",
                "replace",
                "link",
                "unlink",
                "mkdir",
                "rmdir",
            ):
                patch.setattr(os, name, self._noted(name, getattr(os, name)))
            patch.setattr(os, "fsync", self._noted("fsync", os.fsync, self._synced))
            patch.setattr(
                crash_points, "syncfs", self._noted("syncfs", crash_points.syncfs, self._all_synced)
            )
            yield

    def mark(self) -> None:
        """What was promised up to here must be there from now on."""
        with self._lock:
            self.marks += 1

    def _noted(
        self, name: str, call: Callable[..., Any], synced: Callable[[int], None] | None = None
    ) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            with self._lock:
                result = call(*args, **more)
                if synced is not None:
                    synced(args[0])
                self.moments.append(
                    Moment(name, self.marks, {left: self._image(left) for left in self.wanted()})
                )
                return result

        return noted

    def _synced(self, fd: int) -> None:
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

    def _all_synced(self, _: int) -> None:
        if self.deaf("syncfs"):
            return
        for folder, _names, files in os.walk(self.root):
            self._folders[Path(folder).stat().st_ino] = _names_in(Path(folder))
            for name in files:
                path = Path(folder, name)
                self._files[path.stat().st_ino] = path.read_bytes()

    # What would be left -------------------------------------------------------------------------------------------------

    def _image(self, left: Left) -> Image:
        now = self._contents_now() if left in {Left.A_PIECE, Left.ZEROES} else {}
        folders = self._folders_now() if left in {Left.ALL_NAMES, Left.ZEROES} else self._folders
        image: Image = {}

        def look(folder: int, prefix: str) -> None:
            names = folders.get(folder, {})
            for name, (inode, is_folder) in names.items():
                if is_folder:
                    image[f"{prefix}{name}/"] = b""
                    look(inode, f"{prefix}{name}/")
                else:
                    image[prefix + name] = _content(
                        left, self._files.get(inode, b""), now.get(inode, b"")
                    )

        look(self.root.stat().st_ino, "")
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
    """Make a disk that holds this."""
    root.mkdir()
    for name, content in sorted(image.items()):
        path = root / name
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
