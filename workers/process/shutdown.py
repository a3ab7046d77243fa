"""How a process stops after SIGTERM or SIGINT. docs/explanation/stopping-and-health.md has the
whole table, with what is left over.

- A Celery worker: Celery takes no more messages and calls `WorkerShutdown.begin`; it waits for the
  tasks under way, then calls `WorkerShutdown.finish`. `workers/runtime.py` connects both.
- The bridge and the SQS receiver wait for `stop_signal()`, then close what they opened, in the
  `finally` of `workers/server/lifecycle.py` and `workers/sqs.py`.
- `eagle-logger drain` and `eagle-logger rotate` stop between two users
  (`eagle_logger/rotation/stop_request.py`). A drain stops no process: the node's workers take no
  more fetches (`workers/process/drain_consumer.py`) and live on.
- A process that hangs ends itself (`workers/process/watchdog.py`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Sized

import structlog

_log = structlog.get_logger("eagle_logger.shutdown")

FETCHING_GRACE_S = 15.0
"""Seconds that a worker has for its end, beside the deadline of the visits under way."""
ROTATING_GRACE_S = 45.0
"""The same for a worker that rotates: uploads under way have time-outs and further tries."""
CELERY_ENDS_WITHIN_S = 5.0
"""Seconds that Celery has to come to an end once no task runs any more."""
CHECK_TASKS_EVERY_S = 0.1


def grace_period(deadline: float, *, rotates: bool) -> float:
    """Seconds from SIGTERM to the end of a worker process, at most."""
    return deadline + (ROTATING_GRACE_S if rotates else FETCHING_GRACE_S)


class WorkerShutdown:
    """The end of one worker process. It comes within `grace` seconds, whatever Celery waits for.

    While Redis does not answer, Celery's consumer tries for ever to sign off there. Nothing depends
    on that: users come free when their lease ends, and a message that was not acknowledged comes
    again. What must not be lost, `close` finishes: the visits under way and their readings.
    """

    def __init__(
        self,
        tasks: Sized,
        close: Callable[[], None],
        *,
        grace: float,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self.begun = threading.Event()
        """Set once the worker has been asked to stop. Work that takes long ends early then."""
        self._tasks = tasks
        self._close = close
        self._grace = grace
        self._end = end
        self._finishing = threading.Lock()
        self._finished = False

    def begin(self) -> None:
        """Have long work end early, and end the process by force if the grace period passes."""
        if not self.begun.is_set():
            self.begun.set()
            latest = time.monotonic() + self._grace
            threading.Thread(
                target=self._end_in_time, args=(latest,), name="shutdown", daemon=True
            ).start()

    def finish(self) -> None:
        """Close everything. A second caller waits for the first."""
        self.begun.set()
        with self._finishing:
            if not self._finished:
                self._finished = True
                self._close()

    def _end_in_time(self, latest: float) -> None:
        """Wait for the tasks and then for Celery, close everything, and end the process by `latest`
        (monotonic). If Celery ends by itself, the process is gone before this has waited long."""
        while self._tasks and latest - time.monotonic() > 2 * CELERY_ENDS_WITHIN_S:
            time.sleep(CHECK_TASKS_EVERY_S)
        # At least half of the time that is left stays for closing.
        left = latest - time.monotonic()
        time.sleep(max(0.0, min(CELERY_ENDS_WITHIN_S, left - CELERY_ENDS_WITHIN_S)))
        _log.warning(
            "shutdown_forced",
            tasks=len(self._tasks),
            detail="Celery does not come to an end by itself, so this process ends without it",
        )
        closing = threading.Thread(target=self.finish, name="closing", daemon=True)
        closing.start()
        closing.join(max(0.0, latest - time.monotonic()))
        self._end(0)


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. Call it on the running loop, in the main thread."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
