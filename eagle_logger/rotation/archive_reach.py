"""Whether the whole archive is away, or one user's hour fails for a reason of its own.

A refusal alone does not show which: a store answers 403 when credentials were revoked, but also
when one object is in a slow storage class, or is encrypted with a key that is gone. So after a
failure the process puts an object that belongs to no user. If the archive takes it, the failure is
the user's own.
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

_log = structlog.get_logger("eagle_logger.reach")

LEFT_ALONE_FOR = 10.0
"""Seconds. A process sends nothing to an archive that is away for this long."""
MOST_FAILURES_IN_A_ROW = 16
"""Users. If so many hours fail and none is stored between, the archive is left alone although it
answers: it may be full."""
_TEXT = b"eagle_logger asked here whether this archive takes objects.\n"


def probe_key(now: float) -> str:
    """The object that is put after a failure. Each day has its own: an old one may be in a slow
    storage class by now."""
    return f"probe/{Hour.of(now).date}.txt"


class ArchiveReach:
    """What one process knows of its archive. Thread-safe. `rest`: real seconds to leave an archive
    alone; infinity for good."""

    def __init__(
        self,
        archive: Callable[[], Archive],
        *,
        rest: float = LEFT_ALONE_FOR,
        clock: Callable[[], float] = time.monotonic,
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
        """Note that the archive took an object."""
        with self._lock:
            self._failed.clear()

    def is_there(self, now: float) -> bool:
        """Whether the archive still answers after a failure. If not, it counts as away from now on.

        `now`: the system's clock. It makes two requests; other threads that call it meanwhile wait
        for its answer.
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
            if len(self._failed) >= MOST_FAILURES_IN_A_ROW:
                self._leave_alone(
                    f"it answers, but took nothing from {MOST_FAILURES_IN_A_ROW} users one after another"
                )

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
