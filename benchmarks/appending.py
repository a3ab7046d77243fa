"""The cost of an append to a log file, beside that of the bare system calls. The homes come in
turn, some hundreds in a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import chore
from benchmarks.stage import Stage
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import log_file
from eagle_logger.disk import crash_points
from eagle_logger.logs.writer import LogWriter
from workers.process.file_limits import raise_limit

HOMES = 15_000
"""Half of a large fleet: the share of one of two processes."""
BATCH_SIZE = 300
ROUNDS = 3
"""How often all homes are appended to, after a first round in which the files are created."""
_SHARDS = 16
_OTHER_DESCRIPTORS = 2048
_HOUR = Hour.parse("2015-03-10-17")
_LINE = b'{"a line": "of the length that a demand has", "rest": "' + b"." * 170 + b'"}\n'
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT

Append = Callable[[Sequence[str]], object]


def appending(stage: Stage) -> list[dict[str, Any]]:
    """Our writer with few files kept open, with half of them, and with all. Then the bare calls:
    one write for each line and one syncfs for each batch."""
    raise_limit(2 * HOMES + _OTHER_DESCRIPTORS)
    return [
        *(_ours(stage, most) for most in (512, HOMES // 2, HOMES)),
        _bare(stage, reopened=True),
        _bare(stage, reopened=False),
    ]


def _ours(stage: Stage, most: int) -> dict[str, Any]:
    with stage.processes("append") as processes:
        writer = LogWriter(processes.directory, shards=_SHARDS, max_open=most, min_free_disk=0)
        try:
            name = f"append to {HOMES} log files, at most {most} kept open"
            return _timed(
                name, lambda homes: writer.append({(home, _HOUR): [_LINE] for home in homes})
            )
        finally:
            writer.close()


def _bare(stage: Stage, *, reopened: bool) -> dict[str, Any]:
    with stage.processes("bare-append") as processes:
        paths = {
            home: str(processes.directory / log_file(home, _HOUR, _SHARDS)) for home in _homes()
        }
        for folder in {Path(path).parent for path in paths.values()}:
            folder.mkdir(parents=True)
        volume = os.open(processes.directory, os.O_RDONLY)
        open_files = (
            {} if reopened else {home: os.open(path, _FLAGS) for home, path in paths.items()}
        )

        def append(homes: Sequence[str]) -> None:
            for home in homes:
                if reopened:
                    fd = os.open(paths[home], _FLAGS)
                    os.write(fd, _LINE)
                    os.close(fd)
                else:
                    os.write(open_files[home], _LINE)
            crash_points.syncfs(volume)

        try:
            return _timed(
                f"bare {'open, write and close' if reopened else 'write to an open file'}", append
            )
        finally:
            for fd in (volume, *open_files.values()):
                os.close(fd)


def _timed(name: str, append: Append) -> dict[str, Any]:
    for homes in _batches():
        append(homes)
    began, used, longest = time.monotonic(), time.process_time(), 0.0
    for _ in range(ROUNDS):
        for homes in _batches():
            started = time.monotonic()
            append(homes)
            longest = max(longest, time.monotonic() - started)
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    count = ROUNDS * HOMES
    note = (
        f"{cpu / count * 1e6:.1f} µs an append, {BATCH_SIZE} a batch, "
        f"which took {longest * 1e3:.0f} ms at most"
    )
    return chore(name, seconds, cpu, count, note)


def _homes() -> list[str]:
    return [f"{number:06x}" for number in range(HOMES)]


def _batches() -> Iterator[list[str]]:
    homes = _homes()
    for start in range(0, HOMES, BATCH_SIZE):
        yield homes[start : start + BATCH_SIZE]
