"""Samples of what could not be read, so that somebody can find out why: few, small, and gone after
two weeks."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from datetime import date
from pathlib import Path

from eagle_logger.core.hours import Hour, iso
from eagle_logger.logs.disk_errors import disk_errors

PER_USER_AND_DAY = 20
SIZE = 4096
"""Bytes of a sample's text."""
DAYS = 14
"""Days of samples that are kept."""


class ReplySamples:
    """Unreadable replies below `root`: `<YYYY-MM-DD>/<cloud_id>.jsonl`, one JSON object a line.
    Blocking; safe from several threads and processes. What is kept is not synced: losing it to a
    power cut loses no reading."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._day = ""
        self._full: set[str] = set()

    def keep_sample(self, cloud_id: str, when: float, text: str) -> None:
        """Keep the first 4 KiB of this text, redacted already, of what arrived at `when` (Unix
        seconds), unless this user has had its 20 of this UTC day. Raises DiskUnavailable."""
        day = Hour.of(when).date
        with self._lock, disk_errors(self.root):
            if day != self._day:
                self._begin(day)
            if cloud_id in self._full:
                return
            if not _append(self.root / day / f"{cloud_id}.jsonl", _sample(cloud_id, when, text)):
                self._full.add(cloud_id)

    def _begin(self, day: str) -> None:
        (self.root / day).mkdir(parents=True, exist_ok=True)
        self._day = day
        self._full.clear()
        days = sorted(path for path in self.root.iterdir() if _is_day(path.name))
        for old in days[:-DAYS]:
            shutil.rmtree(old, ignore_errors=True)


def _append(path: Path, sample: bytes) -> bool:
    """Whether there was room. Under a lock, so that all processes together keep to the limit."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with open(fd, "rb", closefd=False) as file:
            room = sum(1 for _ in file) < PER_USER_AND_DAY
        if room:
            os.write(fd, sample)
        return room
    finally:
        os.close(fd)


def _sample(cloud_id: str, when: float, text: str) -> bytes:
    cut = text.encode("utf-8", "backslashreplace")[:SIZE].decode("utf-8", "ignore")
    return (
        json.dumps(
            {"cloud_id": cloud_id, "at": iso(when, milliseconds=True), "text": cut},
            ensure_ascii=False,
        ).encode()
        + b"\n"
    )


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
