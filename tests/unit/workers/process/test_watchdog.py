from __future__ import annotations

import threading

import pytest

from workers.process import watchdog
from workers.process.watchdog import (
    CONSUMER_PATIENCE,
    LOOP_PATIENCE,
    TASK_PATIENCE,
    Watchdog,
    WorkerHealth,
)

START = 1000.0


@pytest.fixture
def vitals() -> WorkerHealth:
    return WorkerHealth(START)


def test_a_fresh_process_does_not_hang(vitals: WorkerHealth) -> None:
    assert vitals.hanging(START + LOOP_PATIENCE) is None


def test_a_loop_that_stands_still(vitals: WorkerHealth) -> None:
    assert vitals.hanging(START + LOOP_PATIENCE + 1) == "the event loop has stood still for 31 s"


def test_a_consumer_that_stands_still_while_redis_answers(vitals: WorkerHealth) -> None:
    now = START + CONSUMER_PATIENCE + 1
    vitals.loop = now
    vitals.redis_answers(START)
    vitals.redis_answers(now)
    assert vitals.hanging(now) == "Celery's consumer has stood still for 91 s"


def test_a_consumer_that_waits_for_redis_does_not_hang(vitals: WorkerHealth) -> None:
    now = START + 10 * CONSUMER_PATIENCE
    vitals.loop = now
    vitals.redis_answers(START)
    vitals.redis_is_away()
    assert vitals.hanging(now) is None
    vitals.redis_answers(now)
    assert vitals.hanging(now + LOOP_PATIENCE) is None


def test_a_task_that_never_ends(vitals: WorkerHealth) -> None:
    vitals.tasks.update(long=START, short=START + TASK_PATIENCE)
    vitals.loop = now = START + TASK_PATIENCE + 1
    assert vitals.hanging(now) == "a task has not ended for 1261 s"


def test_a_process_that_was_asleep_is_forgiven(vitals: WorkerHealth) -> None:
    vitals.redis_answers(START)
    vitals.forgive(START + 5000)
    assert vitals.hanging(START + 5001) is None


def test_it_ends_what_hangs_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOKING", 0.01)
    said: list[str] = []
    dog = Watchdog(WorkerHealth(-10_000.0), threading.Event(), end=said.append)
    dog.start()
    dog.join(10)
    assert len(said) == 1
    assert "event loop" in said[0]


def test_it_leaves_a_process_alone_that_stops_by_itself() -> None:
    stopping = threading.Event()
    stopping.set()
    said: list[str] = []
    dog = Watchdog(WorkerHealth(-10_000.0), stopping, end=said.append)
    dog.start()
    dog.join(10)
    assert not dog.is_alive()
    assert said == []
