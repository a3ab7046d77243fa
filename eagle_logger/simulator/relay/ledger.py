"""The ledger: one JSON line for each complete reply, the independent record of what was served.

Lines are gathered and appended ten times a second, at shutdown, and before anybody reads: what is
read is always complete.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FLUSH_EVERY = 0.1
"""Seconds, at most, between a reply's completion and its line in the file."""


class Ledger:
    """Append-only and restart-safe. Without a path it lives in a nameless temporary file. Not for
    several processes at once."""

    def __init__(self, path: Path | None = None) -> None:
        self._lines: list[str] = []
        self._unwritten = b""
        self._file = path.open("a+b", buffering=0) if path else tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed by close)
        self._size = _without_torn_line(self._file.fileno())

    def add(self, line: str) -> None:
        """Record one reply: a JSON object that ends in a newline."""
        self._lines.append(line)

    def flush(self) -> None:
        """Hand what was gathered to the operating system. Raises OSError; the lines are then kept
        for the next time."""
        if self._lines:
            self._unwritten += "".join(self._lines).encode()
            self._lines.clear()
        while self._unwritten:
            written = os.write(self._file.fileno(), self._unwritten)
            self._size += written
            self._unwritten = self._unwritten[written:]

    def size(self) -> int:
        """Bytes in the ledger, everything included that was added until now."""
        self.flush()
        return self._size

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; call `size` first."""
        return os.pread(self._file.fileno(), length, start)

    def close(self) -> None:
        """Flush, fsync and close."""
        try:
            self.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


def _without_torn_line(descriptor: int) -> int:
    """Cut off a last line that a killed process left without its newline; the size that remains."""
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
