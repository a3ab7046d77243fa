"""A process that hangs ends itself. Whatever restarts processes restarts dead ones only; one that
hangs looks alive.

Nothing that counts is lost by such an end: a reading counts once it is fsynced, and users come free
when their lease ends.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import bootsteps
from celery.signals import task_postrun, task_prerun

_log = structlog.get_logger("eagle_logger.watchdog")

LOOP_PATIENCE = 30.0
"""Seconds that the event loop may stand still."""
CONSUMER_PATIENCE = 90.0
"""Seconds that Celery's consumer may stand still while Redis answers: to leave half-open
connections takes it up to 30."""
TASK_PATIENCE = 1260.0
"""Seconds that a task may take: by then the broker has given its message to somebody else."""
LOOKING = 5.0
"""Seconds between two looks."""
HUNG = 70
"""Exit status of a process that ended itself."""

Moment = float


class WorkerHealth:
    """When each part of a worker last showed a sign of life. Moments are monotonic seconds."""

    def __init__(self, now: Moment) -> None:
        self.loop = now
        self.consumer = now
        self.redis_since: Moment | None = None
        """Since when Redis has answered every time; None while it does not."""
        self.tasks: dict[str, Moment] = {}
        """Tasks under way, by id, with their start."""

    def redis_answers(self, now: Moment) -> None:
        if self.redis_since is None:
            self.redis_since = now

    def redis_is_away(self) -> None:
        self.redis_since = None

    def hanging(self, now: Moment) -> str | None:
        """What hangs, in words."""
        if now - self.loop > LOOP_PATIENCE:
            return f"the event loop has stood still for {now - self.loop:.0f} s"
        if (
            self.redis_since is not None
            and now - max(self.consumer, self.redis_since) > CONSUMER_PATIENCE
        ):
            return f"Celery's consumer has stood still for {now - self.consumer:.0f} s"
        oldest = min(list(self.tasks.values()), default=now)
        return (
            f"a task has not ended for {now - oldest:.0f} s"
            if now - oldest > TASK_PATIENCE
            else None
        )

    def forgive(self, now: Moment) -> None:
        """The whole process was asleep: nobody has had a chance to show a sign of life."""
        self.loop = self.consumer = now
        self.redis_since = None


class Watchdog(threading.Thread):
    """Looks every few seconds, until it is stopped; `end` is called, once, with what hangs."""

    def __init__(
        self,
        vitals: WorkerHealth,
        stopping: threading.Event,
        *,
        end: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._vitals = vitals
        self._stopping = stopping
        self._end = end or end_process

    def run(self) -> None:
        last = time.monotonic()
        while not self._stopping.wait(LOOKING):
            now = time.monotonic()
            if now - last > 2 * LOOKING:
                self._vitals.forgive(now)
            elif hanging := self._vitals.hanging(now):
                self._end(hanging)
                return
            last = now


def end_process(reason: str) -> None:
    """At once, with every thread's stack on standard error for whoever wants to know why."""
    _log.critical("this process hangs and ends itself", reason=reason)
    faulthandler.dump_traceback()
    os._exit(HUNG)


def consumer_step(sign: Callable[[], None]) -> type[bootsteps.StartStopStep]:
    """A step for Celery's consumer that calls `sign` every second from its own loop."""

    class ConsumerSign(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        def start(self, parent: Any) -> None:
            self._entry = parent.timer.call_repeatedly(1.0, sign)

        def stop(self, parent: Any) -> None:  # noqa: ARG002  (Celery's signature)
            self._entry.cancel()

    return ConsumerSign


def watch_tasks(tasks: dict[str, Moment]) -> None:
    """Keep the book of tasks under way."""

    def begins(task_id: str, **_: Any) -> None:
        tasks[task_id] = time.monotonic()

    def ends(task_id: str, **_: Any) -> None:
        tasks.pop(task_id, None)

    task_prerun.connect(begins, weak=False)
    task_postrun.connect(ends, weak=False)
