"""Appending readings to the log files: whole lines, from many threads and processes at once,
durable when it returns."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from eagle_logger.core import paths as paths_module
from eagle_logger.core.hours import Hour
from eagle_logger.disk.atomic_files import make_directories
from eagle_logger.logs.appender import Appender, AppendResult
from eagle_logger.logs.disk_errors import disk_errors
from eagle_logger.logs.free_space import ensure_room
from eagle_logger.logs.open_files import SPARE

__all__ = ["AppendResult", "LogWriter"]


class LogWriter:
    """Appends to the log files below `root` (settings.logs_dir). Blocking; safe from several
    threads, with any number of other writers on the same folder.

    At most `max_open` files are open at once. They leave `spare` of the process's descriptors to
    others, or three fourths of them if there are too few for that. Nothing is written while fewer
    than `min_free_disk` bytes are free.
    """

    def __init__(
        self, root: Path, *, shards: int, max_open: int, min_free_disk: int, spare: int = SPARE
    ) -> None:
        self.root = root
        self._max_open = max_open
        self._spare = spare
        self._min_free_disk = min_free_disk
        self._appender: Appender | None = None
        self._starting = threading.Lock()

        @lru_cache(65_536)
        def path(cloud_id: str, hour: Hour) -> str:
            return f"{root}/{paths_module.log_file(cloud_id, hour, shards)}"

        self._path = path

    def append(self, batch: Mapping[tuple[str, Hour], Sequence[bytes]]) -> AppendResult:
        """Add complete lines to the log file of each (cloud id, hour); return when all of them are
        durable. A user's hour has at most `LARGEST_HOUR` bytes; `left_out` counts the lines beyond,
        by cloud id.

        Raises DiskUnavailable when lines may not be durable. The caller may then append the whole
        batch again: no torn line stays visible, and sealing removes a line that was written twice.
        """
        paths = {self._path(*key): key for key, lines in batch.items() if lines}
        content = {path: b"".join(batch[key]) for path, key in paths.items()}
        if not all(data.endswith(b"\n") for data in content.values()):
            raise ValueError("every line ends with a newline")
        with disk_errors(self.root):
            appender = self._ready()
            ensure_room(self.root, self._min_free_disk)
            written = appender.append(content)
        return (
            replace(written, left_out=_by_user(written.left_out, paths))
            if written.left_out
            else written
        )

    def check(self) -> None:
        """Raises DiskUnavailable while the volume is read-only, or has less room than must stay
        free."""
        with disk_errors(self.root):
            self._ready()
            ensure_room(self.root, self._min_free_disk)

    def close(self) -> None:
        """Close the files; another append opens them again."""
        with self._starting:
            appender, self._appender = self._appender, None
        if appender is not None:
            appender.close()

    def _ready(self) -> Appender:
        appender = self._appender
        if appender is not None and appender.pid == os.getpid():
            return appender
        with self._starting:
            if self._appender is not None and self._appender.pid != os.getpid():
                self._appender.abandon()
                self._appender = None
            if self._appender is None:
                make_directories(self.root)
                self._appender = Appender(self.root, self._max_open, self._spare)
            return self._appender


def _by_user(left_out: Mapping[str, int], paths: Mapping[str, tuple[str, Hour]]) -> dict[str, int]:
    users: dict[str, int] = {}
    for path, lines in left_out.items():
        cloud_id, _ = paths[path]
        users[cloud_id] = users.get(cloud_id, 0) + lines
    return users
