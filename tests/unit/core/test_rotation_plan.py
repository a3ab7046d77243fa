from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import (
    complete_at,
    is_complete,
    is_current,
    may_be_deleted,
    nothing_to_delete_yet,
    oldest_first,
)

HOUR = Hour.parse("2026-03-10-17")
GRACE = 600.0


@pytest.mark.parametrize("first_arrival", [HOUR.start - 3600, HOUR.start, HOUR.end - 1, HOUR.end + GRACE])
def test_a_file_begun_about_its_own_time_is_complete_a_grace_after_its_hour(first_arrival: float) -> None:
    assert complete_at(HOUR, first_arrival, GRACE) == HOUR.end + GRACE


@pytest.mark.parametrize("first_arrival", [HOUR.end + GRACE + 1, HOUR.end + 90 * 86400])
def test_a_late_file_is_complete_an_hour_after_its_first_line(first_arrival: float) -> None:
    assert complete_at(HOUR, first_arrival, GRACE) == first_arrival + 3600


def test_a_file_of_the_far_future_does_not_wait_for_its_hour() -> None:
    arrived = HOUR.start - 10 * 365 * 86400
    assert complete_at(HOUR, arrived, GRACE) == arrived + 3600


def test_complete_means_at_that_moment_and_not_before() -> None:
    assert not is_complete(HOUR, HOUR.start, GRACE, HOUR.end + GRACE - 0.001)
    assert is_complete(HOUR, HOUR.start, GRACE, HOUR.end + GRACE)


def test_an_archived_file_is_kept_for_the_retention() -> None:
    assert not may_be_deleted(archived_at=1000, retention=60, now=1059)
    assert may_be_deleted(archived_at=1000, retention=60, now=1060)


def test_a_backlog_is_drained_oldest_hour_first_and_each_shard_once() -> None:
    later = Hour(HOUR.end)
    assert oldest_first([(later, "01"), (HOUR, "07"), (later, "00"), (HOUR, "07")]) == [
        (HOUR, "07"),
        (later, "00"),
        (later, "01"),
    ]


@pytest.mark.parametrize(
    ("now", "current"),
    [(HOUR.start - 3601, False), (HOUR.start - 3600, True), (HOUR.end + 599, True), (HOUR.end + 600, False)],
)
def test_an_hour_is_current_from_an_hour_before_it_until_its_grace_is_over(now: float, current: bool) -> None:
    assert is_current(HOUR, GRACE, now) is current


@pytest.mark.parametrize(("now", "nothing"), [(HOUR.start - 1, False), (HOUR.start, True), (HOUR.end + 86399, True)])
def test_receipts_of_the_last_day_need_not_be_read(now: float, nothing: bool) -> None:
    assert nothing_to_delete_yet(HOUR, 86400, now) is nothing
    assert not nothing_to_delete_yet(HOUR, 86400, HOUR.end + 86400)
