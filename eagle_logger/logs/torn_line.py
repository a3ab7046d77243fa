"""A torn last line: what a kill or a full disk leaves behind the last newline. It never counted as
logged."""

from __future__ import annotations

import os
from pathlib import Path

from eagle_logger.disk import crash_points
from eagle_logger.logs.quarantine import keep_aside

_CHUNK = 64 * 1024
REASON = "torn: no newline at its end, so it was never acknowledged; cut off before the file was used again"


def whole_size(fd: int, size: int) -> int:
    """How many of the file's first `size` bytes are whole lines."""
    end = size
    while end > 0:
        start = max(0, end - _CHUNK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def repair(fd: int, path: str, root: Path, size: int) -> tuple[int, bool]:
    """Cut a torn last line off the locked file of this size, keeping its bytes aside first; its
    size then, and whether it was torn."""
    if size == 0 or os.pread(fd, 1, size - 1) == b"\n":
        return size, False
    whole = whole_size(fd, size)
    keep_aside(root, Path(path).name, read_range(fd, whole, size), REASON)
    crash_points.truncate(fd, whole)
    return whole, True


def read_range(fd: int, start: int, end: int) -> bytes:
    """The file's bytes from `start` up to `end`; fewer only if the file ends before."""
    pieces = []
    while start < end:
        piece = os.pread(fd, end - start, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)
