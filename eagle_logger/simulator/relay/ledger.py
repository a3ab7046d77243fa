"""The ledger: one JSON line for each complete reply. It is the record of what was served, against
which the archive is compared.

Lines are collected and appended ten times a second, at shutdown, and before the ledger is read. So
a reader always finds every line that was added before.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FLUSH_EVERY_S = 0.1
"""The longest time between a reply's completion and its line in the file."""


class Ledger:
    """A file that is only appended to, and continued after a restart. Without a path it is a
    nameless temporary file. Only one process may use it."""

    def __init__(self, path: Path | None = None) -> None:
        self._lines: list[str] = []
        self._unwritten = b""
        self._file = path.open("a+b", buffering=0) if path else tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed by close)
        self._size = _cut_torn_line(self._file.fileno())

    def add(self, line: str) -> None:
        """Record one reply: a JSON object that ends in a newline."""
        self._lines.append(line)

    def flush(self) -> None:
        """Hand the collected lines to the operating system.

        Raises OSError. The lines are then kept, and the next flush tries again.
        """
        if self._lines:
            self._unwritten += "".join(self._lines).encode()
            self._lines.clear()
        while self._unwritten:
            written = os.write(self._file.fileno(), self._unwritten)
            self._size += written
            self._unwritten = self._unwritten[written:]

    def size(self) -> int:
        """Bytes in the ledger, with every line that was added until now. Raises OSError."""
        self.flush()
        return self._size

    def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`, within the last `size`."""
        return os.pread(self._file.fileno(), length, start)

    def close(self) -> None:
        """Flush, fsync and close."""
        try:
            self.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


def _cut_torn_line(descriptor: int) -> int:
    """Cut off the torn last line that a killed process leaves. Returns the new size."""
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
