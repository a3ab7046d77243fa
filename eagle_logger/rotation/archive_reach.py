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

LEFT_ALONE_FOR_S = 10.0
"""Real seconds. A process sends nothing to an archive that is away for this long."""
MOST_FAILURES_IN_A_ROW = 16
"""Users. If the hours of so many fail and none is stored between, the archive is left alone
although it answers: it may be full."""
_PROBE = b"eagle_logger asked here whether this archive takes objects.\n"


def probe_key(now: float) -> str:
    """The object that is put after a failure. Each day has its own: an old one may be in a slow
    storage class by now."""
    return f"probe/{Hour.of(now).date}.txt"


class ArchiveReach:
    """What one process knows of its archive. Thread-safe.

    `left_alone_for`: real seconds in which nothing is sent to an archive that is away; with
    infinity, nothing is sent to it ever again. `clock`: monotonic.
    """

    def __init__(
        self,
        archive: Callable[[], Archive],
        *,
        left_alone_for: float = LEFT_ALONE_FOR_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._left_alone_for = left_alone_for
        self._clock = clock
        self._away_until = -math.inf
        self._failed_users: set[str] = set()
        self._lock = threading.Lock()

    def is_away(self) -> bool:
        return self._clock() < self._away_until

    def note_stored(self) -> None:
        """Note that the archive took an object."""
        with self._lock:
            self._failed_users.clear()

    def note_failure_of(self, cloud_id: str) -> None:
        """Note that a user's hour failed, though the archive answers."""
        with self._lock:
            self._failed_users.add(cloud_id)
            if len(self._failed_users) >= MOST_FAILURES_IN_A_ROW:
                users = f"{MOST_FAILURES_IN_A_ROW} users one after another"
                self._leave_alone(f"it answers, but took nothing from {users}")

    def still_answers(self, now: float) -> bool:
        """Whether the archive answers after a failure. If not, it counts as away from now on.

        `now`: the system's clock. It makes two requests; other threads that call it meanwhile wait
        for its answer.
        """
        with self._lock:
            if self.is_away():
                return False
            if self._takes_probe(now):
                return True
            self._leave_alone("it does not answer")
            return False

    def _leave_alone(self, why: str) -> None:
        _log.warning("archive_left_alone", seconds=self._left_alone_for, detail=why)
        self._failed_users.clear()
        self._away_until = self._clock() + self._left_alone_for

    def _takes_probe(self, now: float) -> bool:
        key = probe_key(now)
        try:
            archive = self._archive()
            with contextlib.suppress(AlreadyThere):
                archive.put(key, _PROBE, {})
            return archive.head(key) is not None
        except EagleError:
            return False
