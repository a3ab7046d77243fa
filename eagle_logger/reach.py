"""Whether the archive is away, or one user's hour is in trouble of its own.

A refusal does not tell: a store answers 403 where its credentials were revoked, and where one object lies in a storage class
that is not read at once, or was locked with a key that is gone. So after a failure the archive is asked about an object that
belongs to no user. If it answers, the trouble is the user's own.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.hours import Hour
from eagle_logger.errors import AlreadyThere, EagleError

_log = structlog.get_logger(__name__)

REST = 10.0
"""Seconds that an archive which is away is left alone."""
MANY = 16
"""Users whose hours may fail one after another, with nothing stored between, before the archive is left alone in any case: it
may answer and take nothing, being full."""
_TEXT = b"eagle_logger asked here whether this archive takes objects.\n"


def probe_key(now: float) -> str:
    """One object a day, on days on which something failed: an older one may have been moved to a slow storage class."""
    return f"probe/{Hour.of(now).date}.txt"


class Reach:
    """Of one process, for several threads. `rest` is in real seconds; infinity means for good."""

    def __init__(
        self, archive: Callable[[], Archive], *, rest: float = REST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._archive = archive
        self._rest = rest
        self._clock = clock
        self._away_until = -math.inf
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def is_away(self) -> bool:
        return self._clock() < self._away_until

    def stored(self) -> None:
        """The archive took something."""
        with self._lock:
            self._failed.clear()

    def is_there(self, now: float) -> bool:
        """After a failure: whether the archive answers all the same. If it does not, it is away from now on.

        `now`: the system's clock. Takes as long as two requests; other threads with the same question wait for the answer.
        """
        with self._lock:
            if self.is_away():
                return False
            if self._answers(now):
                return True
            self._leave_alone("it does not answer")
            return False

    def failed_alone(self, cloud_id: str) -> None:
        """Count a user whose hour failed, though the archive answers."""
        with self._lock:
            self._failed.add(cloud_id)
            if len(self._failed) >= MANY:
                self._leave_alone(f"it answers, and took nothing from {MANY} users one after another")

    def _leave_alone(self, why: str) -> None:
        _log.warning("archive_left_alone", seconds=self._rest, detail=why)
        self._failed.clear()
        self._away_until = self._clock() + self._rest

    def _answers(self, now: float) -> bool:
        key = probe_key(now)
        try:
            archive = self._archive()
            with contextlib.suppress(AlreadyThere):
                archive.put(key, _TEXT, {})
            return archive.head(key) is not None
        except EagleError:
            return False
