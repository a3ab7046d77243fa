"""Stops a worker's fetches while its node is drained (`eagle-logger drain`).

Celery's own consumer checks every second. While the node is drained, it consumes nothing from the
fetch queues; once the fetches under way have ended, it releases its lock on the volume. Other
queues (dispatch, rotate) go on.

This module uses inner parts of Celery:

- **Which:** a running consumer's `add_task_queue`, `cancel_task_queue` and `timer`, and the list of
  messages that a worker holds (`state.reserved_requests`).
- **Why, and what it saves:** a drain would have to stop the workers of the node, and nothing would
  show when the last fetch has ended.
- **When it breaks:** pyproject.toml allows one minor version of Celery, and
  `tests/canaries/test_celery_worker.py` shows which part changed. Without the consumer's methods,
  send the worker Celery's commands `add_consumer` and `cancel_consumer`. Without the list, count
  tasks by the signals `task_received` and `task_postrun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks

from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.drain_flag import DrainFlag, NodeLock

_log = structlog.get_logger("eagle_logger.drain")

CHECK_EVERY_S = 1.0
_IDLE_CHECKS_BEFORE_RELEASE = 3
"""Checks in a row that find no fetch, before the lock is released: a message may have been on its
way to this worker."""


class Consumer(Protocol):
    """The part of Celery's consumer that is used here."""

    def add_task_queue(self, queue: str) -> None: ...
    def cancel_task_queue(self, queue: str) -> None: ...


class DrainConsumer:
    """Starts and stops consuming from `fetch_queues`. `has_fetches` says whether this worker has
    any fetch under way or waiting."""

    def __init__(
        self, drain: DrainFlag, fetch_queues: Sequence[str], has_fetches: Callable[[], bool]
    ) -> None:
        self._drain = drain
        self._fetch_queues = fetch_queues
        self._has_fetches = has_fetches
        self._lock: NodeLock | None = None
        self._is_consuming = True  # Celery's consumer begins with all queues
        self._idle_checks = 0

    def check(self, consumer: Consumer) -> None:
        """Start or stop, as the drain flag says. To be called every second, from the consumer's
        thread."""
        if self._lock is None:
            self._lock = self._take_lock()
        if self._lock is None or self._drain.is_set():
            self._stop_consuming(consumer)
            self._release_when_idle()
        else:
            self._idle_checks = 0
            self._start_consuming(consumer)

    def _take_lock(self) -> NodeLock | None:
        try:
            return self._drain.lock()
        except DiskUnavailable as exc:
            detail = "the log volume cannot be written, so this worker takes no fetches"
            _log.error("node_lock_unavailable", reason=str(exc), detail=detail)
            return None

    def _start_consuming(self, consumer: Consumer) -> None:
        if not self._is_consuming:
            detail = "the node is not drained any more: this worker takes fetches again"
            _log.info("fetch_queues_rejoined", queues=self._fetch_queues, detail=detail)
            for queue in self._fetch_queues:
                consumer.add_task_queue(queue)
            self._is_consuming = True

    def _stop_consuming(self, consumer: Consumer) -> None:
        if self._is_consuming:
            detail = "the node is drained, or its disk fails: this worker takes no more fetches"
            _log.info("fetch_queues_left", queues=self._fetch_queues, detail=detail)
            for queue in self._fetch_queues:
                consumer.cancel_task_queue(queue)
            self._is_consuming = False

    def _release_when_idle(self) -> None:
        if self._lock is None:
            return
        self._idle_checks = 0 if self._has_fetches() else self._idle_checks + 1
        if self._idle_checks >= _IDLE_CHECKS_BEFORE_RELEASE:
            self._lock.release()
            self._lock = None
            _log.info("node_lock_released", detail="the last fetch of this worker is on disk")


def has_task(name: str) -> bool:
    """Whether this worker has such a task waiting or under way. If in doubt, it has."""
    try:
        return any(request.name == name for request in list(state.reserved_requests))
    except RuntimeError:  # another thread added or removed one meanwhile
        return True


def drain_step(drain_consumer: DrainConsumer) -> type[bootsteps.StartStopStep]:
    """A step for Celery's consumer. It checks before the first message is taken, and every second
    from then on."""

    class DrainStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = (Tasks,)

        def start(self, parent: Any) -> None:
            drain_consumer.check(parent)
            self._entry = parent.timer.call_repeatedly(
                CHECK_EVERY_S, drain_consumer.check, (parent,)
            )

        def stop(self, parent: Any) -> None:  # noqa: ARG002  (Celery's signature)
            self._entry.cancel()

    return DrainStep
