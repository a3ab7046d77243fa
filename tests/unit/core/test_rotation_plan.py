from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import (
    complete_at,
    is_complete,
    is_current,
    may_be_deleted,
    may_be_tried,
    nothing_to_delete_yet,
    oldest_first,
)

HOUR = Hour.parse("2026-03-10-17")
GRACE = 600.0
MUCH_LATER = HOUR.end + 400 * 86400.0


@pytest.mark.parametrize(
    "first_arrival", [HOUR.start - 3600, HOUR.start, HOUR.end - 1, HOUR.end + GRACE]
)
def test_a_file_that_was_begun_in_time_is_complete_a_grace_after_its_hour(
    first_arrival: float,
) -> None:
    assert complete_at(HOUR, first_arrival, GRACE, MUCH_LATER) == HOUR.end + GRACE


@pytest.mark.parametrize("first_arrival", [HOUR.end + GRACE + 1, HOUR.end + 90 * 86400])
def test_a_late_file_is_complete_an_hour_after_its_first_line(first_arrival: float) -> None:
    assert complete_at(HOUR, first_arrival, GRACE, MUCH_LATER) == first_arrival + 3600


def test_a_file_of_a_far_future_hour_does_not_wait_for_that_hour() -> None:
    arrived = HOUR.start - 10 * 365 * 86400
    assert complete_at(HOUR, arrived, GRACE, arrived) == arrived + 3600


@pytest.mark.parametrize(
    "now", [HOUR.start - 3600, HOUR.start + 60, HOUR.end + GRACE, HOUR.end + 4200, MUCH_LATER]
)
def test_a_first_arrival_ahead_of_now_is_not_believed(now: float) -> None:
    assert complete_at(HOUR, now + 90 * 86400, GRACE, now) == HOUR.end + 3600 + GRACE
    assert is_complete(HOUR, now + 90 * 86400, GRACE, now) is (now >= HOUR.end + 3600 + GRACE)


def test_a_file_of_an_hour_ahead_of_now_is_complete_at_once() -> None:
    assert is_complete(HOUR, HOUR.start, GRACE, HOUR.start - 3601)


def test_a_file_is_complete_at_that_moment_and_not_before() -> None:
    assert not is_complete(HOUR, HOUR.start, GRACE, HOUR.end + GRACE - 0.001)
    assert is_complete(HOUR, HOUR.start, GRACE, HOUR.end + GRACE)


def test_an_archived_file_is_kept_for_the_retention() -> None:
    archived = HOUR.end + 1000.0
    assert not may_be_deleted(HOUR, archived, retention=60, now=archived + 59)
    assert may_be_deleted(HOUR, archived, retention=60, now=archived + 60)


def test_a_receipt_that_is_a_little_ahead_of_now_is_believed() -> None:
    now = HOUR.end + 30 * 86400.0
    assert not may_be_deleted(HOUR, now + 5, retention=60, now=now)
    assert may_be_deleted(HOUR, now + 5, retention=60, now=now + 65)


@pytest.mark.parametrize("ahead", [3601, 90 * 86400, float("inf")])
def test_a_receipt_that_is_far_ahead_of_now_does_not_keep_its_file_for_good(ahead: float) -> None:
    now = HOUR.end + 86400.0
    assert not may_be_deleted(HOUR, now + ahead, retention=86401, now=now)
    assert may_be_deleted(HOUR, now + ahead, retention=86400, now=now)


def test_a_file_of_a_future_hour_is_kept_for_the_retention_since_it_was_archived() -> None:
    now = HOUR.start - 1e6
    assert not may_be_deleted(HOUR, now + 10, retention=60, now=now + 5)
    assert may_be_deleted(HOUR, now + 10, retention=60, now=now + 70)


@pytest.mark.parametrize(
    ("tries", "pause"), [(1, 300), (2, 600), (7, 19200), (8, 21600), (10**9, 21600)]
)
def test_the_pause_between_tries_at_an_hour_doubles_up_to_six_hours(
    tries: int, pause: float
) -> None:
    assert not may_be_tried(1000.0, tries, 1000.0)
    assert not may_be_tried(1000.0, tries, 1000.0 + pause - 1)
    assert may_be_tried(1000.0, tries, 1000.0 + pause)


@pytest.mark.parametrize("tried_at", [1001.0, 1e12, float("inf"), float("nan")])
def test_a_try_that_is_ahead_of_now_does_not_hold_the_hour_back(tried_at: float) -> None:
    assert may_be_tried(tried_at, 3, 1000.0)


def test_a_backlog_is_archived_oldest_hour_first_and_each_shard_once() -> None:
    later = Hour(HOUR.end)
    assert oldest_first([(later, "01"), (HOUR, "07"), (later, "00"), (HOUR, "07")]) == [
        (HOUR, "07"),
        (later, "00"),
        (later, "01"),
    ]


@pytest.mark.parametrize(
    ("now", "current"),
    [
        (HOUR.start - 3601, False),
        (HOUR.start - 3600, True),
        (HOUR.end + 599, True),
        (HOUR.end + 600, False),
    ],
)
def test_an_hour_is_current_from_an_hour_before_it_until_its_grace_is_over(
    now: float, current: bool
) -> None:
    assert is_current(HOUR, GRACE, now) is current


@pytest.mark.parametrize(
    ("now", "nothing"), [(HOUR.start - 1, False), (HOUR.start, True), (HOUR.end + 86399, True)]
)
def test_no_receipt_need_be_read_within_the_retention(now: float, nothing: bool) -> None:
    assert nothing_to_delete_yet(HOUR, 86400, now) is nothing
    assert not nothing_to_delete_yet(HOUR, 86400, HOUR.end + 86400)
