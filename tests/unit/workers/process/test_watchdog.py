from __future__ import annotations

import threading

import pytest

from eagle_logger.inspection.health import CONSUMER_HANGS_AFTER_S, TASK_HANGS_AFTER_S
from workers.process import watchdog
from workers.process.watchdog import SignsOfLife, Watchdog

START = 1000.0
LONG_AFTER = START + 10 * CONSUMER_HANGS_AFTER_S


@pytest.fixture
def signs() -> SignsOfLife:
    return SignsOfLife(START)


def test_a_loop_that_stands_still_hangs(signs: SignsOfLife) -> None:
    assert signs.hanging(START + 1) is None
    assert "event loop" in (signs.hanging(LONG_AFTER) or "")


def test_a_consumer_that_stands_still_while_redis_answers_hangs(signs: SignsOfLife) -> None:
    signs.redis_answers(START)
    signs.redis_answers(LONG_AFTER)
    signs.loop = LONG_AFTER
    assert "consumer" in (signs.hanging(LONG_AFTER) or "")


def test_a_consumer_that_waits_for_redis_does_not_hang(signs: SignsOfLife) -> None:
    signs.redis_answers(START)
    signs.redis_is_away()
    signs.loop = LONG_AFTER
    assert signs.hanging(LONG_AFTER) is None
    signs.redis_answers(LONG_AFTER)
    assert signs.hanging(LONG_AFTER + 1) is None


def test_the_task_that_began_first_counts(signs: SignsOfLife) -> None:
    signs.tasks.update(long=START, short=START + TASK_HANGS_AFTER_S)
    signs.loop = START + TASK_HANGS_AFTER_S + 1
    assert signs.hanging(signs.loop) == "a task has not ended for 1261 s"


def test_a_process_that_was_asleep_starts_over(signs: SignsOfLife) -> None:
    signs.redis_answers(START)
    signs.start_over(LONG_AFTER)
    assert signs.hanging(LONG_AFTER + 1) is None


def test_the_watchdog_ends_what_hangs_and_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "CHECK_EVERY_S", 0.01)
    reasons: list[str] = []
    dog = Watchdog(SignsOfLife(-10_000.0), threading.Event(), end=reasons.append)
    dog.start()
    dog.join(10)
    assert len(reasons) == 1
    assert "event loop" in reasons[0]


def test_the_watchdog_leaves_a_process_alone_that_is_stopping() -> None:
    stopping = threading.Event()
    stopping.set()
    reasons: list[str] = []
    dog = Watchdog(SignsOfLife(-10_000.0), stopping, end=reasons.append)
    dog.start()
    dog.join(10)
    assert not dog.is_alive()
    assert reasons == []
