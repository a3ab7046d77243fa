from __future__ import annotations

from typing import Any

import pytest
from celery.worker import state

from eagle_logger.errors import DiskUnavailable
from workers.process.drain_consumer import DrainConsumer, has_task

QUEUES = ["fetch.0", "adhoc"]


class Hold:
    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        assert not self.released
        self.released = True


class Drain:
    """A volume as `DrainConsumer` sees it."""

    def __init__(self) -> None:
        self.asked = self.failing = False
        self.holds: list[Hold] = []

    def is_asked(self) -> bool:
        return self.asked

    def hold(self) -> Hold | None:
        if self.failing:
            raise DiskUnavailable
        if self.asked:
            return None
        self.holds.append(Hold())
        return self.holds[-1]

    @property
    def is_held(self) -> bool:
        return any(not hold.released for hold in self.holds)


class Consumer:
    """It begins with all of its queues, as Celery's does."""

    def __init__(self) -> None:
        self.queues = {*QUEUES, "dispatch"}

    def add_task_queue(self, queue: str) -> None:
        assert queue not in self.queues
        self.queues.add(queue)

    def cancel_task_queue(self, queue: str) -> None:
        self.queues.remove(queue)


class Worker:
    def __init__(self) -> None:
        self.drain, self.consumer, self.busy = Drain(), Consumer(), False
        drain: Any = self.drain
        self._taking = DrainConsumer(drain, QUEUES, lambda: self.busy)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self._taking.look(self.consumer)

    @property
    def takes_fetches(self) -> bool:
        return set(QUEUES) <= self.consumer.queues


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_it_takes_fetches_with_the_hold_in_hand(worker: Worker) -> None:
    worker.look(5)
    assert worker.takes_fetches
    assert len(worker.drain.holds) == 1
    assert worker.drain.is_held


def test_a_worker_that_starts_on_a_drained_node_takes_none_at_all(worker: Worker) -> None:
    worker.drain.asked = True
    worker.look()
    assert worker.consumer.queues == {"dispatch"}
    assert not worker.drain.is_held


def test_what_is_in_hand_is_finished_before_the_hold_is_given_up(worker: Worker) -> None:
    worker.look()
    worker.drain.asked = worker.busy = True
    worker.look(20)
    assert worker.consumer.queues == {"dispatch"}
    assert worker.drain.is_held
    worker.busy = False
    worker.look(20)
    assert not worker.drain.is_held


def test_a_message_that_was_on_its_way_starts_the_count_anew(worker: Worker) -> None:
    worker.look()
    worker.drain.asked = True
    worker.look(2)
    worker.busy = True
    worker.look()
    worker.busy = False
    worker.look(2)
    assert worker.drain.is_held
    worker.look()
    assert not worker.drain.is_held


def test_undone_it_takes_fetches_again(worker: Worker) -> None:
    worker.look()
    worker.drain.asked = True
    worker.look(5)
    worker.drain.asked = False
    worker.look()
    assert worker.takes_fetches
    assert worker.drain.is_held


def test_undone_before_it_had_let_go_it_goes_on(worker: Worker) -> None:
    worker.look()
    worker.drain.asked = worker.busy = True
    worker.look()
    worker.drain.asked = False
    worker.look()
    assert worker.takes_fetches
    assert len(worker.drain.holds) == 1
    assert worker.drain.is_held


def test_a_disk_that_fails_is_not_fetched_for_until_it_is_well(worker: Worker) -> None:
    worker.drain.failing = True
    worker.look()
    assert not worker.takes_fetches
    worker.drain.failing = False
    worker.look()
    assert worker.takes_fetches


def test_what_a_worker_has_in_hand_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Request:
        def __init__(self, name: str) -> None:
            self.name = name

    requests = [Request("dispatch"), Request("fetch")]
    monkeypatch.setattr(state, "reserved_requests", requests)
    assert has_task("fetch")
    assert not has_task("rotate")
