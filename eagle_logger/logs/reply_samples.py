"""Samples of replies that could not be read, so that an operator can find out why."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from datetime import date
from pathlib import Path

from eagle_logger.core.hours import Hour, iso
from eagle_logger.disk.atomic_files import OWNER_ONLY
from eagle_logger.logs.disk_errors import disk_errors

SAMPLES_PER_USER_AND_DAY = 20
BYTES_OF_A_SAMPLE = 4096
DAYS_KEPT = 14


class ReplySamples:
    """Unreadable replies below `root`: `<YYYY-MM-DD>/<cloud_id>.jsonl`, one JSON object a line.

    Blocking. One thread of a process uses it, beside any number of other processes. A sample is not
    synced: losing it in a power cut loses no reading.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._day = ""
        self._full: set[str] = set()
        """The users who have all their samples of the day."""

    def keep_sample(self, cloud_id: str, when: float, text: str) -> None:
        """Keep the first 4 KiB of this text, which is redacted already. `when` it arrived is in
        Unix seconds. Does nothing if the user has 20 samples of this UTC day. Raises
        DiskUnavailable."""
        day = Hour.of(when).date
        with disk_errors(self.root):
            if day != self._day:
                self._begin_day(day)
            if cloud_id not in self._full:
                path = self.root / day / f"{cloud_id}.jsonl"
                if not _append_if_room(path, _sample(cloud_id, when, text)):
                    self._full.add(cloud_id)

    def _begin_day(self, day: str) -> None:
        (self.root / day).mkdir(parents=True, exist_ok=True)
        self._day = day
        self._full.clear()
        days = sorted(path for path in self.root.iterdir() if _is_day(path.name))
        for old in days[:-DAYS_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _append_if_room(path: Path, sample: bytes) -> bool:
    """Whether the file had room. Done under a lock, so that all processes together keep to the
    limit."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, OWNER_ONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with open(fd, "rb", closefd=False) as file:
            room = sum(1 for _ in file) < SAMPLES_PER_USER_AND_DAY
        if room:
            os.write(fd, sample)
        return room
    finally:
        os.close(fd)


def _sample(cloud_id: str, when: float, text: str) -> bytes:
    beginning = text.encode("utf-8", "backslashreplace")[:BYTES_OF_A_SAMPLE]
    sample = {
        "cloud_id": cloud_id,
        "at": iso(when, milliseconds=True),
        "text": beginning.decode("utf-8", "ignore"),
    }
    return json.dumps(sample, ensure_ascii=False).encode() + b"\n"


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
