from __future__ import annotations

import pytest

from eagle_logger.inspection.progress_checks import OK, dispatch_check, fetch_check, worker_check
from eagle_logger.users.store import Totals
from workers.server.context import StallDetector

BUSY = Totals(users=10, due=8, overdue=0, leased=1, parked=1, oldest_due=None)
IDLE = Totals(users=2, due=0, overdue=0, leased=0, parked=2, oldest_due=None)


@pytest.mark.parametrize(("age", "fine"), [(0, True), (29, True), (31, False), (3000, False)])
def test_dispatch_has_happened_lately(age: float, fine: bool) -> None:
    assert (dispatch_check({"dispatch": {"at": 10_000 - age}}, 10_000, 30) == OK) == fine


def test_nothing_was_dispatched_at_all() -> None:
    assert "beat" in dispatch_check({"fetch@host": {"at": 10_000}}, 10_000, 30)


def test_one_fetching_process_is_enough() -> None:
    progress = {"fetch@one": {"at": 10_000 - 3000}, "fetch@two": {"at": 10_000 - 3}}
    assert worker_check(progress, BUSY, 10_000, 60) == OK


@pytest.mark.parametrize("name", ["dispatch", "dispatcher@host", "rotator@host", "sqs@host"])
def test_who_does_not_fetch_does_not_count(name: str) -> None:
    assert worker_check({name: {"at": 10_000}}, BUSY, 10_000, 60) != OK


def test_a_stalled_worker_is_told_with_its_age() -> None:
    assert "for 61 s" in worker_check({"fetch@one": {"at": 9939}}, BUSY, 10_000, 60)


def test_without_anybody_to_fetch_nobody_need_work() -> None:
    assert worker_check({}, IDLE, 10_000, 60) == OK


def test_users_who_wait_and_are_not_fetched_are_a_stall() -> None:
    stall = StallDetector()
    assert [
        stall.look(fetches, BUSY, now)
        for fetches, now in ((7, 100.0), (7, 130.0), (8, 150.0), (8, 211.0))
    ] == [
        0,
        30,
        0,
        61,
    ]


def test_while_nobody_waits_nothing_stalls() -> None:
    stall = StallDetector()
    stall.look(7, BUSY, 100.0)
    assert stall.look(7, IDLE, 900.0) == 0
    assert stall.look(7, BUSY, 930.0) == 30


def test_a_stall_is_told_once_it_is_long() -> None:
    assert fetch_check(60, 60) == OK
    assert "for 61 s" in fetch_check(61, 60)
