"""A worker process that hangs ends itself. What restarts processes restarts dead ones only, and a
process that hangs looks alive.

Such an end loses nothing that counts: a reading counts once it is fsynced, and users come free when
their lease ends. `eagle_logger/inspection/health.py` says what "hangs" means.
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

from eagle_logger.inspection.health import hanging_part

_log = structlog.get_logger("eagle_logger.watchdog")

CHECK_EVERY_S = 5.0
EXIT_STATUS_HUNG = 70
"""Exit status of a process that ended itself."""

Moment = float
"""Monotonic seconds."""


class SignsOfLife:
    """When each part of a worker process last showed a sign of life."""

    def __init__(self, now: Moment) -> None:
        self.loop = now
        self.consumer = now
        self.redis_since: Moment | None = None
        """Since when Redis has answered every time; None while it does not."""
        self.tasks: dict[str, Moment] = {}
        """The start of each task under way, by its message's id."""

    def redis_answers(self, now: Moment) -> None:
        if self.redis_since is None:
            self.redis_since = now

    def redis_is_away(self) -> None:
        self.redis_since = None

    def hanging(self, now: Moment) -> str | None:
        """What hangs, in words; None if nothing does."""
        redis_since = now if self.redis_since is None else self.redis_since
        oldest_task = min(list(self.tasks.values()), default=now)
        return hanging_part(
            loop_silence=now - self.loop,
            consumer_silence=now - max(self.consumer, redis_since),
            longest_task=now - oldest_task,
        )

    def start_over(self, now: Moment) -> None:
        """Forget how old the signs are, after the whole process was asleep and could show none."""
        self.loop = self.consumer = now
        self.redis_since = None


class Watchdog(threading.Thread):
    """Checks the signs of life every few seconds, until `stopping` is set. The first time that
    something hangs, it calls `end` with what hangs, and checks no more."""

    def __init__(
        self,
        signs: SignsOfLife,
        stopping: threading.Event,
        *,
        end: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._signs = signs
        self._stopping = stopping
        self._end = end or end_process

    def run(self) -> None:
        last_check = time.monotonic()
        while not self._stopping.wait(CHECK_EVERY_S):
            now = time.monotonic()
            if now - last_check > 2 * CHECK_EVERY_S:
                self._signs.start_over(now)
            elif hanging := self._signs.hanging(now):
                self._end(hanging)
                return
            last_check = now


def end_process(reason: str) -> None:
    """End this process at once. Every thread's stack goes to standard error, to show why."""
    _log.critical("process_hangs", reason=reason, detail="this process hangs, so it ends itself")
    faulthandler.dump_traceback()
    os._exit(EXIT_STATUS_HUNG)


def consumer_sign_step(show_sign: Callable[[], None]) -> type[bootsteps.StartStopStep]:
    """A step for Celery's consumer that calls `show_sign` every second from the consumer's loop."""

    class ConsumerSign(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        def start(self, parent: Any) -> None:
            self._entry = parent.timer.call_repeatedly(1.0, show_sign)

        def stop(self, parent: Any) -> None:  # noqa: ARG002  (Celery's signature)
            self._entry.cancel()

    return ConsumerSign


def record_tasks(tasks: dict[str, Moment]) -> None:
    """Keep in `tasks` what is under way, from now on."""

    def add(task_id: str, **_: Any) -> None:
        tasks[task_id] = time.monotonic()

    def remove(task_id: str, **_: Any) -> None:
        tasks.pop(task_id, None)

    task_prerun.connect(add, weak=False)
    task_postrun.connect(remove, weak=False)
