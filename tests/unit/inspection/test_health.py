from __future__ import annotations

import pytest

from eagle_logger.inspection.health import (
    CONSUMER_HANGS_AFTER_S,
    LOOP_HANGS_AFTER_S,
    OK,
    TASK_HANGS_AFTER_S,
    StallDetector,
    dispatch_check,
    fetch_check,
    hanging_part,
    is_silent,
    progress_age,
    worker_check,
)
from eagle_logger.users.store import Totals

BUSY = Totals(users=10, due=8, overdue=0, leased=1, parked=1, oldest_due=None)
IDLE = Totals(users=2, due=0, overdue=0, leased=0, parked=2, oldest_due=None)


def test_a_process_without_a_note_is_silent_and_has_no_age() -> None:
    assert progress_age({}, "beat", 10_000) is None
    assert is_silent({}, "beat", 10_000, 30)


def test_a_process_whose_note_is_old_is_silent() -> None:
    progress = {"beat": {"at": 9_970}}
    assert progress_age(progress, "beat", 10_000) == 30
    assert not is_silent(progress, "beat", 10_000, 30)
    assert is_silent(progress, "beat", 10_001, 30)


@pytest.mark.parametrize(("age", "healthy"), [(0, True), (29, True), (31, False), (3000, False)])
def test_dispatching_is_healthy_if_the_last_dispatch_is_recent(age: float, healthy: bool) -> None:
    assert (dispatch_check({"dispatch": {"at": 10_000 - age}}, 10_000, 30) == OK) == healthy


def test_without_any_dispatch_beat_is_named_as_a_suspect() -> None:
    assert "beat" in dispatch_check({"fetch@host": {"at": 10_000}}, 10_000, 30)


def test_one_fetching_process_that_reports_is_enough() -> None:
    progress = {"fetch@one": {"at": 10_000 - 3000}, "fetch@two": {"at": 10_000 - 3}}
    assert worker_check(progress, BUSY, 10_000, 60) == OK


@pytest.mark.parametrize("name", ["dispatch", "dispatcher@host", "rotator@host", "sqs@host"])
def test_a_process_that_does_not_fetch_does_not_count_as_a_worker(name: str) -> None:
    assert worker_check({name: {"at": 10_000}}, BUSY, 10_000, 60) != OK


def test_the_finding_about_a_silent_worker_names_its_age() -> None:
    assert "for 61 s" in worker_check({"fetch@one": {"at": 9939}}, BUSY, 10_000, 60)


def test_no_worker_is_needed_if_all_users_are_parked() -> None:
    assert worker_check({}, IDLE, 10_000, 60) == OK


def test_users_who_wait_and_are_not_fetched_are_a_stall() -> None:
    stall = StallDetector()
    assert stall.stalled(7, BUSY, 100.0) == 0
    assert stall.stalled(7, BUSY, 130.0) == 30
    assert stall.stalled(8, BUSY, 150.0) == 0
    assert stall.stalled(8, BUSY, 211.0) == 61


def test_nothing_stalls_while_no_user_waits() -> None:
    stall = StallDetector()
    stall.stalled(7, BUSY, 100.0)
    assert stall.stalled(7, IDLE, 900.0) == 0
    assert stall.stalled(7, BUSY, 930.0) == 30


def test_a_stall_is_a_finding_once_it_is_long() -> None:
    assert fetch_check(60, 60) == OK
    assert "for 61 s" in fetch_check(61, 60)


@pytest.mark.parametrize(
    ("loop", "consumer", "task", "finding"),
    [
        (LOOP_HANGS_AFTER_S, CONSUMER_HANGS_AFTER_S, TASK_HANGS_AFTER_S, None),
        (LOOP_HANGS_AFTER_S + 1, 0, 0, "the event loop has stood still for 31 s"),
        (0, CONSUMER_HANGS_AFTER_S + 1, 0, "Celery's consumer has stood still for 91 s"),
        (0, 0, TASK_HANGS_AFTER_S + 1, "a task has not ended for 1261 s"),
    ],
)
def test_a_part_of_a_worker_hangs_once_it_has_been_silent_for_too_long(
    loop: float, consumer: float, task: float, finding: str | None
) -> None:
    found = hanging_part(loop_silence=loop, consumer_silence=consumer, longest_task=task)
    assert found == finding
