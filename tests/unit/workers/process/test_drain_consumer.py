from __future__ import annotations

from typing import Any

import pytest
from celery.worker import state

from eagle_logger.errors import DiskUnavailable
from workers.process.drain_consumer import DrainConsumer, has_task

QUEUES = ["fetch.0", "adhoc"]


class Lock:
    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        assert not self.released
        self.released = True


class Volume:
    """A log volume as `DrainConsumer` sees it."""

    def __init__(self) -> None:
        self.asked = self.failing = False
        self.locks: list[Lock] = []

    def is_set(self) -> bool:
        return self.asked

    def lock(self) -> Lock | None:
        if self.failing:
            raise DiskUnavailable
        if self.asked:
            return None
        self.locks.append(Lock())
        return self.locks[-1]

    @property
    def is_locked(self) -> bool:
        return any(not lock.released for lock in self.locks)


class Consumer:
    """Begins with all of its queues, as Celery's does."""

    def __init__(self) -> None:
        self.queues = {*QUEUES, "dispatch"}

    def add_task_queue(self, queue: str) -> None:
        assert queue not in self.queues
        self.queues.add(queue)

    def cancel_task_queue(self, queue: str) -> None:
        self.queues.remove(queue)


class Worker:
    def __init__(self) -> None:
        self.volume, self.consumer, self.busy = Volume(), Consumer(), False
        volume: Any = self.volume
        self._drain_consumer = DrainConsumer(volume, QUEUES, lambda: self.busy)

    def check(self, times: int = 1) -> None:
        for _ in range(times):
            self._drain_consumer.check(self.consumer)

    @property
    def takes_fetches(self) -> bool:
        return set(QUEUES) <= self.consumer.queues


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_a_worker_locks_the_volume_before_it_takes_fetches(worker: Worker) -> None:
    worker.check(5)
    assert worker.takes_fetches
    assert len(worker.volume.locks) == 1
    assert worker.volume.is_locked


def test_a_worker_that_starts_on_a_drained_node_takes_none_at_all(worker: Worker) -> None:
    worker.volume.asked = True
    worker.check()
    assert worker.consumer.queues == {"dispatch"}
    assert not worker.volume.is_locked


def test_the_volume_stays_locked_until_the_fetches_under_way_have_ended(worker: Worker) -> None:
    worker.check()
    worker.volume.asked = worker.busy = True
    worker.check(20)
    assert worker.consumer.queues == {"dispatch"}
    assert worker.volume.is_locked
    worker.busy = False
    worker.check(20)
    assert not worker.volume.is_locked


def test_a_message_that_was_on_its_way_keeps_the_volume_locked(worker: Worker) -> None:
    worker.check()
    worker.volume.asked = True
    worker.check(2)
    worker.busy = True
    worker.check()
    worker.busy = False
    worker.check(2)
    assert worker.volume.is_locked
    worker.check()
    assert not worker.volume.is_locked


def test_a_worker_takes_fetches_again_once_the_drain_is_undone(worker: Worker) -> None:
    worker.check()
    worker.volume.asked = True
    worker.check(5)
    worker.volume.asked = False
    worker.check()
    assert worker.takes_fetches
    assert worker.volume.is_locked


def test_a_drain_undone_while_fetches_were_under_way_keeps_the_lock(worker: Worker) -> None:
    worker.check()
    worker.volume.asked = worker.busy = True
    worker.check()
    worker.volume.asked = False
    worker.check()
    assert worker.takes_fetches
    assert len(worker.volume.locks) == 1
    assert worker.volume.is_locked


def test_a_worker_takes_no_fetches_while_its_disk_fails(worker: Worker) -> None:
    worker.volume.failing = True
    worker.check()
    assert not worker.takes_fetches
    worker.volume.failing = False
    worker.check()
    assert worker.takes_fetches


def test_a_task_under_way_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Request:
        def __init__(self, name: str) -> None:
            self.name = name

    requests = [Request("dispatch"), Request("fetch")]
    monkeypatch.setattr(state, "reserved_requests", requests)
    assert has_task("fetch")
    assert not has_task("rotate")
