"""Putting bytes behind what a log file holds: whole or not at all, and durable afterwards.

Per file: take it (one thread of ours), take its flock (one process), see that the path still names
it, cut off a torn last line, write once. Then one commit for all files.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eagle_logger.core.sealing import LARGEST_HOUR
from eagle_logger.disk import crash_points
from eagle_logger.disk.atomic_files import OWNER_ONLY, sync_directory
from eagle_logger.logs.file_names import parents_up_to, sealed_bytes
from eagle_logger.logs.free_space import refuse_read_only
from eagle_logger.logs.group_fsync import GroupCommit, reports_errors
from eagle_logger.logs.locking import FLAGS, locked_file
from eagle_logger.logs.open_files import CLOSED, OpenFile, OpenFiles
from eagle_logger.logs.torn_line import repair

FEW = 3
"""Up to so many files are synced one by one; above that one `syncfs` is quicker."""
UNUSED = 300.0
"""Seconds after which a file that nobody appended to is closed; before it is sealed, as a rule."""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What an append did. `fsyncs` counts those of folders and a `syncfs` too. `torn` counts torn
    last lines that were cut off and kept aside; a killed process leaves them. `left_out` counts
    lines that were not written, by path: their user's hour has `LARGEST_HOUR` bytes already."""

    bytes: int = 0
    files: int = 0
    fsyncs: int = 0
    torn: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


class _Piece(NamedTuple):
    """What one batch added to one file: the bytes from `start` to `end`. What is synced `apart`,
    not with the group, was the `ticket`-th such append to this descriptor."""

    file: OpenFile
    start: int
    end: int
    apart: bool
    ticket: int
    torn: bool
    left_out: int


class Appender:
    """What one process has open of the log files below `root`. Not to be used on both sides of a
    fork: a descriptor inherited shares its flock with the parent."""

    def __init__(self, root: Path, max_open: int, spare: int) -> None:
        self.root = root
        self.pid = os.getpid()
        self._pool = OpenFiles(max_open, spare)
        self._group = GroupCommit(root) if reports_errors(root) else None

    def append(self, content: Mapping[str, bytes]) -> AppendResult:
        """Add these bytes, which end with a newline, to each file, durably. Raises OSError if that
        is not certain; then nothing torn is left, and as little as possible of the rest."""
        self._pool.close_unused(UNUSED)
        pieces: list[_Piece] = []
        try:
            return self._write_and_commit(content, pieces)
        except OSError:
            self._withdraw(pieces)
            raise

    def close(self) -> None:
        self._pool.close_idle()
        if self._group is not None:
            self._group.close()

    def abandon(self) -> None:
        """In a forked child: give up the parent's descriptors without a word to the kernel about
        their locks."""
        self._pool.abandon()
        if self._group is not None:
            self._group.abandon()

    # Writing ----------------------------------------------------------------------------------------------------------

    def _write_and_commit(self, content: Mapping[str, bytes], pieces: list[_Piece]) -> AppendResult:
        group = self._group if len(content) > FEW else None
        window = group.begin() if group else 0
        for path, data in content.items():
            pieces.append(self._write(path, data, group))
        fsyncs = self._sync_each([piece for piece in pieces if piece.apart])
        if group:
            group.commit(window)
            fsyncs += 1
        refuse_read_only(self.root)
        return AppendResult(
            bytes=sum(piece.end - piece.start for piece in pieces),
            files=len(pieces),
            fsyncs=fsyncs,
            torn=sum(piece.torn for piece in pieces),
            left_out={piece.file.path: piece.left_out for piece in pieces if piece.left_out},
        )

    def _write(self, path: str, data: bytes, group: GroupCommit | None) -> _Piece:
        file, size = self._locked(path)
        try:
            torn = False
            if size != file.size:
                size, torn = repair(file.fd, path, self.root, size)
            data, left_out = _fitting(data, LARGEST_HOUR - file.sealed - size)
            _put(file, data, size)
            apart = group is None or file.device != group.device
            file.written += apart
            return _Piece(file, size, file.size, apart, file.written, torn, left_out)
        finally:
            file.unlock()
            self._pool.release(file)

    def _locked(self, path: str) -> tuple[OpenFile, int]:
        """The file at `path`, ours alone, locked and not sealed; and its size."""
        while True:
            file = self._pool.acquire(path)
            try:
                if file.fd == CLOSED:
                    self._open(file)
                size = file.lock()
            except BaseException:
                self._pool.discard(file)
                raise
            if size is not None:
                return file, size
            self._pool.discard(file)

    def _open(self, file: OpenFile) -> None:
        try:
            file.fd = _open_or_create(file.path)
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._pool.close_idle()
            file.fd = _open_or_create(file.path)
        found = os.fstat(file.fd)
        file.device, file.inode = found.st_dev, found.st_ino
        file.sealed = sealed_bytes(Path(file.path))

    # Durable ----------------------------------------------------------------------------------------------------------

    def _sync_each(self, pieces: Sequence[_Piece]) -> int:
        """Returns how many fsyncs that took."""
        synced = sum(self._sync(piece) for piece in pieces)
        unnamed = [piece.file for piece in pieces if not piece.file.named]
        folders = dict.fromkeys(
            folder for file in unnamed for folder in parents_up_to(Path(file.path), self.root)
        )
        for folder in folders:
            with suppress(
                FileNotFoundError
            ):  # all that was in it has been sealed, archived and removed since
                sync_directory(folder)
        for file in unnamed:
            file.named = True
        return synced + len(folders)

    def _sync(self, piece: _Piece) -> bool:
        """Whether it took an fsync: another thread's, begun after this append, will do."""
        file = piece.file
        self._pool.hold(file)
        try:
            if file.failed is None and file.synced >= piece.ticket:
                return False
            file.sync()
            return True
        finally:
            self._pool.release(file)

    def _withdraw(self, pieces: Iterable[_Piece]) -> None:
        """After a failure: close the files, and take back what nobody has appended to since. What
        cannot be taken back are whole lines, which do no harm."""
        for piece in pieces:
            self._pool.drop(piece.file)
            with suppress(OSError), locked_file(Path(piece.file.path)) as fd:
                if fd is not None:
                    _take_back(fd, piece)


def _fitting(data: bytes, room: int) -> tuple[bytes, int]:
    """The whole lines that fit into `room` bytes, and how many do not fit."""
    if len(data) <= room:
        return data, 0
    end = data.rfind(b"\n", 0, max(room, 0)) + 1
    return data[:end], data.count(b"\n", end)


def _open_or_create(path: str) -> int:
    """The folder may be removed, because it was empty, at any moment before the file is in it."""
    while True:
        try:
            return os.open(path, FLAGS | os.O_CREAT, OWNER_ONLY)
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)


def _put(file: OpenFile, data: bytes, size: int) -> None:
    """Append to the locked file, all or nothing: what a failing disk took of it is cut off again."""
    file.size = -1
    try:
        crash_points.write_all(file.fd, data)
    except OSError:
        with suppress(OSError):
            crash_points.truncate(file.fd, size)
        raise
    file.size = size + len(data)


def _take_back(fd: int, piece: _Piece) -> None:
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino, found.st_size) == (
        piece.file.device,
        piece.file.inode,
        piece.end,
    ):
        crash_points.truncate(fd, piece.start)
