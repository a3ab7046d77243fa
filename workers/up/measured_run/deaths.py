"""`deaths.jsonl`: every death of a program that was not asked to end. A measured run needs it to
tell readings that died with a process from readings that the system lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workers.up.supervisor_log import DIED, ProcessEvent, ProcessLog

DEATHS_FILE = "deaths.jsonl"


def death_record(event: ProcessEvent) -> dict[str, Any]:
    """`agent` is the User-Agent of the requests that the process sent."""
    return {
        "wall": event.at,
        "name": event.name,
        "pid": event.pid,
        "status": event.status,
        "agent": f"eagle-logger/{version('eagle-logger')} {event.name}/{event.pid}",
    }


class Deaths:
    """The file of deaths. A death that is in it already is not written again. Only the `up` that
    holds the data directory's lock writes it; several threads of it may.

    A full disk stops no program: deaths that could not be written wait in memory for the next
    `write`.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / DEATHS_FILE
        self._known = set(_identities(self._cut_torn_line()))
        self._waiting: list[str] = []
        self._lock = threading.Lock()

    def record(self, event: ProcessEvent) -> bool:
        """Write a death, or let it wait if the disk is full. Returns whether the death was new."""
        record = death_record(event)
        with self._lock:
            if _identity(record) in self._known:
                return False
            self._known.add(_identity(record))
            self._waiting.append(json.dumps(record) + "\n")
            self._write_waiting()
            return True

    def write(self) -> None:
        """Write the deaths that wait, unless the disk is full."""
        with self._lock:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._waiting:
            with contextlib.suppress(OSError):
                self._append("".join(self._waiting).encode())
                self._waiting.clear()

    def _append(self, lines: bytes) -> None:
        """Write all of these lines durably, or none."""
        with self._path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self._path, size)
                raise

    def _cut_torn_line(self) -> bytes:
        """Remove a line that a power cut left half-written; otherwise it would spoil the next one.
        Returns the whole lines."""
        if not self._path.exists():
            return b""
        content = self._path.read_bytes()
        lines = content[: content.rfind(b"\n") + 1]
        if lines != content:
            os.truncate(self._path, len(lines))
        return lines


def record_unseen_deaths(deaths: Deaths, log: Path, last_sign_of_life: float) -> list[ProcessEvent]:
    """Record the deaths that a former `up` did not see, because it was killed itself. Returns them.

    If supervisor's log does not show the end of a program, the program died with supervisor, at
    `last_sign_of_life` (real Unix seconds) or later.
    """
    if not log.exists():
        return []
    history = ProcessLog()
    lines = log.read_text(errors="replace").splitlines()
    died = [event for event in history.read(lines) if event.what == DIED]
    died += [
        ProcessEvent(DIED, name, last_sign_of_life, pid, "died with supervisor")
        for name, pid in history.running.items()
    ]
    return [event for event in died if deaths.record(event)]


def _identities(lines: bytes) -> Iterator[tuple[Any, ...]]:
    """The identities of the deaths in these lines. Lines that a power cut damaged are left out;
    they stay in the file."""
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield _identity(json.loads(line))


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["name"], record["pid"], record["wall"]
