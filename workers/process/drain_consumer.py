"""Whether this worker takes fetches: not while its node is drained (`eagle-logger drain`).

Looked at every second in Celery's own consumer, which stops consuming from the fetch queues, lets
what it has finish, and then gives up its hold on the volume. Other queues (dispatch, rotate) go on.
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

LOOKING = 1.0
"""Seconds between two looks."""
_QUIET_LOOKS = 3
"""Looks in a row without anything in hand before the hold is given up: a message may have been on
its way to us."""


class Consumer(Protocol):
    """What we need of Celery's."""

    def add_task_queue(self, queue: str) -> None: ...
    def cancel_task_queue(self, queue: str) -> None: ...


class DrainConsumer:
    """`queues` are those that this worker takes fetches from; `is_busy` tells whether it has any in
    hand."""

    def __init__(
        self, drain: DrainFlag, queues: Sequence[str], is_busy: Callable[[], bool]
    ) -> None:
        self._drain = drain
        self._queues = queues
        self._is_busy = is_busy
        self._hold: NodeLock | None = None
        self._consuming = True
        self._quiet = 0

    def look(self, consumer: Consumer) -> None:
        """To be called now and then, by who owns the consumer. The consumer begins with all queues."""
        if self._hold is None:
            self._hold = self._held()
        if self._hold is None or self._drain.is_asked():
            self._stop(consumer)
        else:
            self._take(consumer)

    def _held(self) -> NodeLock | None:
        try:
            return self._drain.hold()
        except DiskUnavailable as exc:
            _log.error("fetching stops: the log volume cannot be written", reason=str(exc))
            return None

    def _take(self, consumer: Consumer) -> None:
        self._quiet = 0
        if not self._consuming:
            _log.info("the node is not drained any more: taking fetches", queues=self._queues)
            for queue in self._queues:
                consumer.add_task_queue(queue)
            self._consuming = True

    def _stop(self, consumer: Consumer) -> None:
        if self._consuming:
            _log.info("the node is drained: no more fetches are taken", queues=self._queues)
            for queue in self._queues:
                consumer.cancel_task_queue(queue)
            self._consuming = False
        if self._hold is not None:
            self._quiet = 0 if self._is_busy() else self._quiet + 1
            if self._quiet >= _QUIET_LOOKS:
                self._hold.release()
                self._hold = None
                _log.info("the last fetch is on disk")


def has_task(name: str) -> bool:
    """Whether this worker has such a task in hand, waiting or under way. In doubt it has."""
    try:
        return any(request.name == name for request in list(state.reserved_requests))
    except RuntimeError:  # one came or went while we counted
        return True


def taking_step(taking: DrainConsumer) -> type[bootsteps.StartStopStep]:
    """A step for Celery's consumer: before it has taken anything, and every second from then on."""

    class DrainConsumerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = (Tasks,)

        def start(self, parent: Any) -> None:
            taking.look(parent)
            self._entry = parent.timer.call_repeatedly(LOOKING, taking.look, (parent,))

        def stop(self, parent: Any) -> None:  # noqa: ARG002  (Celery's signature)
            self._entry.cancel()

    return DrainConsumerStep
