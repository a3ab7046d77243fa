"""When an hour is indexed."""

from __future__ import annotations

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.index_plan import (
    INDEXED_WITHIN_S,
    LONGEST_WAIT_S,
    QUIET_HOURS_STATED,
    UNINDEXED_KEPT_S,
    is_complete_index,
    is_forgotten,
    is_index_late,
    is_to_be_indexed,
    may_be_deleted_unindexed,
    patience_for,
    quiet_hours,
)

HOUR = Hour.parse("2026-03-10-17")
GRACE = 600.0
OVER = HOUR.end + GRACE


def test_a_node_states_the_hours_that_are_over_and_no_others() -> None:
    assert quiet_hours(HOUR, GRACE, OVER) == [HOUR]
    assert quiet_hours(HOUR, GRACE, OVER - 1) == []
    assert quiet_hours(HOUR, GRACE, OVER + 3600) == [HOUR, Hour(HOUR.end)]
    assert quiet_hours(Hour(HOUR.end), GRACE, OVER) == []


def test_a_node_that_was_off_for_long_states_only_its_last_hours() -> None:
    hours = quiet_hours(HOUR, GRACE, OVER + 1000 * 3600)
    assert len(hours) == QUIET_HOURS_STATED
    assert hours[-1] == Hour(HOUR.start + 1000 * 3600)


def test_the_copies_outlive_the_hours_that_are_stated() -> None:
    now = OVER + 1000 * 3600
    assert not any(is_forgotten(hour, now) for hour in quiet_hours(HOUR, GRACE, now))
    assert is_forgotten(HOUR, now)


@pytest.mark.parametrize(
    ("since", "waiting", "now", "complete"),
    [
        (HOUR, 0, OVER, True),
        (HOUR, 0, OVER - 1, False),
        (HOUR, 1, OVER, False),
        (Hour(HOUR.end), 0, OVER, False),
    ],
)
def test_an_index_is_complete_once_nothing_waits_of_an_hour_that_it_covers(
    since: Hour, waiting: int, now: float, complete: bool
) -> None:
    assert is_complete_index(HOUR, since, waiting, GRACE, now) is complete


@pytest.mark.parametrize(
    ("complete", "stated", "oldest", "written"),
    [
        (True, False, None, True),  # nothing of the hour, and that is not said yet
        (True, False, 1000.0, True),
        (True, True, None, False),
        (True, True, 1000.0, False),  # a late part waits for others
        (True, True, 940.0, True),
        (False, False, 1000.0, False),  # something waits, perhaps not for long
        (False, False, 940.0, True),  # what is stuck does not hold the others back
        (False, False, None, False),
        (False, False, 1001.0, True),  # a wrong clock archived it
    ],
)
def test_an_hour_is_indexed_once_it_is_complete_and_for_parts_that_waited(
    complete: bool, stated: bool, oldest: float | None, written: bool
) -> None:
    assert written is is_to_be_indexed(
        complete=complete, stated=stated, oldest=oldest, patience=60.0, now=1000.0
    )


def test_parts_wait_no_longer_than_log_files_are_kept() -> None:
    assert patience_for(86400) == LONGEST_WAIT_S
    assert patience_for(600) == 300
    assert is_to_be_indexed(
        complete=False, stated=False, oldest=7.0, patience=patience_for(0), now=7.0
    )


def test_a_log_file_that_is_not_indexed_is_kept_a_day_longer() -> None:
    archived_at, retention = OVER, 3600.0
    end = archived_at + retention + UNINDEXED_KEPT_S
    assert not may_be_deleted_unindexed(HOUR, archived_at, retention, end - 1)
    assert may_be_deleted_unindexed(HOUR, archived_at, retention, end)


def test_a_part_that_only_waits_for_others_of_its_hour_is_not_late() -> None:
    assert not is_index_late(OVER, OVER + LONGEST_WAIT_S)
    assert not is_index_late(OVER, OVER + INDEXED_WITHIN_S)
    assert is_index_late(OVER, OVER + INDEXED_WITHIN_S + 1)
