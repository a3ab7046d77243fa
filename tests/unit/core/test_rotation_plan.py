from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import complete_at, is_complete, may_be_deleted, oldest_first

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
    assert oldest_first([(later, 1), (HOUR, 7), (later, 0), (HOUR, 7)]) == [(HOUR, 7), (later, 0), (later, 1)]
