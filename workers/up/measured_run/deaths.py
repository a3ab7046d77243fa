"""`deaths.jsonl`: every death that nobody asked for, so that what died with a process can be told
from what was lost."""

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
    """`agent` is what the process called itself in the User-Agent of its requests."""
    return {
        "wall": event.at,
        "name": event.name,
        "pid": event.pid,
        "status": event.status,
        "agent": f"eagle-logger/{version('eagle-logger')} {event.name}/{event.pid}",
    }


class Deaths:
    """The file of deaths. A death that is in it already is not written again. One writer: the `up`
    that holds the lock.

    A disk that takes nothing stops no program: what it does not take waits here for the next
    `write`. For several threads.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / DEATHS_FILE
        self._known = set(_identities(self._cut_torn_line()))
        self._waiting: list[str] = []
        self._lock = threading.Lock()

    def record(self, event: ProcessEvent) -> bool:
        """Write a death down, if the disk takes it now. Returns whether it was new."""
        record = death_record(event)
        with self._lock:
            if _identity(record) in self._known:
                return False
            self._known.add(_identity(record))
            self._waiting.append(json.dumps(record) + "\n")
            self._write()
            return True

    def write(self) -> None:
        """Write the deaths that wait, if the disk takes them now."""
        with self._lock:
            self._write()

    def _write(self) -> None:
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
        """What a power cut left half-written would spoil the line behind it."""
        if not self._path.exists():
            return b""
        found = self._path.read_bytes()
        whole = found[: found.rfind(b"\n") + 1]
        if whole != found:
            os.truncate(self._path, len(whole))
        return whole


def record_unseen_deaths(deaths: Deaths, log: Path, last_sign_of_life: float) -> list[ProcessEvent]:
    """Note what a former `up` saw no more, because it was killed itself; what supervisor's log does
    not tell the end of died with the supervisor, at `last_sign_of_life` (real Unix seconds) or
    later."""
    if not log.exists():
        return []
    history = ProcessLog()
    died = [
        event
        for event in history.read(log.read_text(errors="replace").splitlines())
        if event.what == DIED
    ]
    died += [
        ProcessEvent(DIED, name, last_sign_of_life, pid, "died with supervisor")
        for name, pid in history.running.items()
    ]
    return [event for event in died if deaths.record(event)]


def _identities(lines: bytes) -> Iterator[tuple[Any, ...]]:
    """The identities in these lines. A line that a power cut damaged stays in the file, and is left
    out here."""
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield _identity(json.loads(line))


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["name"], record["pid"], record["wall"]
