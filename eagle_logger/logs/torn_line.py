"""A torn last line: what a killed process or a full disk leaves behind the last newline. It never
counted as logged."""

from __future__ import annotations

import os
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.logs.quarantine import keep_aside

_CHUNK_BYTES = 64 * 1024
_REASON = (
    "torn: no newline at its end, so it was never acknowledged; cut off before the file was used "
    "again"
)


def cut_torn_line(fd: int, name: str, root: Path, size: int) -> tuple[int, bool]:
    """Keep the torn last line of the locked file aside, and cut it off. `size` is the file's.
    Returns its size afterwards, and whether its last line was torn."""
    if size == 0 or os.pread(fd, 1, size - 1) == b"\n":
        return size, False
    size_without_torn_line = _size_of_whole_lines(fd, size)
    keep_aside(root, name, _read_range(fd, size_without_torn_line, size), _REASON)
    crash_points.truncate(fd, size_without_torn_line)
    return size_without_torn_line, True


def _size_of_whole_lines(fd: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _read_range(fd: int, start: int, end: int) -> bytes:
    """The file's bytes from `start` up to `end`; fewer only if the file ends before."""
    pieces = []
    while start < end:
        piece = os.pread(fd, end - start, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)
