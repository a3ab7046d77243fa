"""`deaths.jsonl`: every death that nobody asked for, so that what died with a process can be told from what was lost."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workers.up.events import DIED, Event, History

FILE = "deaths.jsonl"


def death_record(event: Event) -> dict[str, Any]:
    """`agent` is what the process called itself in the User-Agent of its requests."""
    return {
        "wall": event.at,
        "name": event.name,
        "pid": event.pid,
        "status": event.status,
        "agent": f"eagle-logger/{version('eagle-logger')} {event.name}/{event.pid}",
    }


class Deaths:
    """The file; a death that stands in it already is not written again. One writer: the `up` that holds the lock."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._known = set(_identities(self._cut_torn_line()))

    def note(self, event: Event) -> bool:
        """Returns once it is on the disk: whether it was news."""
        record = death_record(event)
        if _identity(record) in self._known:
            return False
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._known.add(_identity(record))
        return True

    def _cut_torn_line(self) -> bytes:
        """What a power cut left half-written would spoil the line behind it."""
        if not self._path.exists():
            return b""
        found = self._path.read_bytes()
        whole = found[: found.rfind(b"\n") + 1]
        if whole != found:
            os.truncate(self._path, len(whole))
        return whole


def note_unseen(deaths: Deaths, log: Path, last_sign_of_life: float) -> list[Event]:
    """Note what a former `up` saw no more, because it was killed itself; what supervisor's log does not tell the end of
    died with the supervisor, at `last_sign_of_life` (real Unix seconds) or later."""
    if not log.exists():
        return []
    history = History()
    died = [event for event in history.read(log.read_text(errors="replace").splitlines()) if event.what == DIED]
    died += [Event(DIED, name, last_sign_of_life, pid, "died with supervisor") for name, pid in history.running.items()]
    return [event for event in died if deaths.note(event)]


def _identities(lines: bytes) -> Iterator[tuple[Any, ...]]:
    """A line that a power cut damaged stays where it is, and tells nothing."""
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield _identity(json.loads(line))


def _identity(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["name"], record["pid"], record["wall"]
