"""The end of a worker comes within its grace period, whatever Celery still waits for.

While Redis does not answer, Celery's consumer tries for ever to tell it good-bye. Nothing depends
on that: users come free when their lease ends, and a message that was not acknowledged comes again.
What does count, visits under way and their readings on disk, is brought to an end here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sized

import structlog

_log = structlog.get_logger("eagle_logger.shutdown")

FAREWELL = 5.0
"""Seconds that Celery has when no task runs any more."""
_LOOKING = 0.1


class ForcedShutdown(threading.Thread):
    """Begun when the worker is told to stop: at the latest `within` seconds later `close` has been
    called and the process has ended, by `end`. Does nothing if Celery comes to an end before."""

    def __init__(
        self,
        tasks: Sized,
        close: Callable[[], None],
        *,
        within: float,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        super().__init__(name="ending", daemon=True)
        self._tasks = tasks
        self._close = close
        self._end = end
        self._latest = time.monotonic() + within

    def run(self) -> None:
        while self._tasks and self._left() > 2 * FAREWELL:
            time.sleep(_LOOKING)
        time.sleep(max(0.0, min(FAREWELL, self._left() - FAREWELL)))
        _log.warning("Celery does not come to an end by itself", tasks=len(self._tasks))
        closing = threading.Thread(target=self._close, name="closing", daemon=True)
        closing.start()
        closing.join(max(0.0, self._left()))
        self._end(0)

    def _left(self) -> float:
        return self._latest - time.monotonic()
