"""When a log file is complete, when an hour that failed is tried again, and when an archived file
may be deleted. All moments are Unix seconds."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour

FIRST_RETRY_PAUSE_S, LONGEST_RETRY_PAUSE_S = 300.0, 6 * 3600.0
"""The pause between two tries at an hour that fails for a reason of its own."""


def complete_at(hour: Hour, first_arrival: float, grace: float, now: float) -> float:
    """When nothing more is expected in a user's file of this hour.

    A file whose first line arrived about the hour itself is complete `grace` seconds after the
    hour. A file that was begun later (late readings), or more than an hour ahead (a gateway whose
    clock is wrong), is complete an hour after its first line arrived. So readings that are late
    together become one part. The wall clock decides, never the next reading; otherwise a quiet
    gateway would hold its hour open.

    If the first arrival is ahead of `now`, a wrong clock wrote it. Such a file is complete an hour
    and the grace after its hour's end; if its hour is ahead of `now` too, it is complete at once.
    """
    if first_arrival > now:
        is_ahead = hour.start - SECONDS_PER_HOUR > now
        return now if is_ahead else hour.end + SECONDS_PER_HOUR + grace
    in_its_time = hour.start - SECONDS_PER_HOUR <= first_arrival <= hour.end + grace
    return hour.end + grace if in_its_time else first_arrival + SECONDS_PER_HOUR


def is_complete(hour: Hour, first_arrival: float, grace: float, now: float) -> bool:
    return now >= complete_at(hour, first_arrival, grace, now)


def is_current(hour: Hour, grace: float, now: float) -> bool:
    """Whether this hour's readings may still be arriving in time. If so, none of its files can be
    complete, and rotation need not look into them."""
    return hour.start - SECONDS_PER_HOUR <= now < hour.end + grace


def is_over(hour: Hour, grace: float, now: float) -> bool:
    """Whether the readings of this hour that arrived in time should be archived by now."""
    return now >= hour.end + grace


def late_arrivals_between(hour: Hour, grace: float, now: float) -> tuple[float, float]:
    """The two moments between which an open file of an hour that is over must have been written
    last, to count as still open and not as overdue for the archive.

    It was then written after the hour's grace, by a reading that arrived late, and less than an
    hour ago; rotation seals such a file an hour after its first line. A file that was written after
    the second moment has its time from a wrong clock.
    """
    return max(hour.end + grace, now - SECONDS_PER_HOUR), now + SECONDS_PER_HOUR


def may_be_tried(tried_at: float, tries: int, now: float) -> bool:
    """Whether to try an hour again that failed `tries` times for a reason of its own, the last time
    at `tried_at`. The pause doubles with each failure. If `tried_at` is ahead of `now`, a wrong
    clock wrote it, and the hour is tried."""
    pause = min(FIRST_RETRY_PAUSE_S * 2.0 ** min(tries - 1, 16), LONGEST_RETRY_PAUSE_S)
    return not tried_at <= now < tried_at + pause


def may_be_deleted(hour: Hour, archived_at: float, retention: float, now: float) -> bool:
    """Whether a sealed file of this hour has been kept for `retention` seconds since it was
    archived. If `archived_at` is more than an hour ahead of `now`, a wrong clock wrote it, and the
    hour's end counts instead if that is earlier."""
    if archived_at > now + SECONDS_PER_HOUR:
        archived_at = min(hour.end, archived_at)
    return now >= archived_at + retention


def nothing_to_delete_yet(hour: Hour, retention: float, now: float) -> bool:
    """A cheap test that spares rotation the hour's receipts: True if no file of this hour can have
    been kept long enough. It is wrong only for an hour that was archived before it ended, and then
    keeps the files for up to an hour too long."""
    return hour.start <= now < hour.end + retention


def oldest_first(work: Iterable[tuple[Hour, str]]) -> list[tuple[Hour, str]]:
    """Each (hour, shard) once, the oldest hour first: the order in which a backlog is archived."""
    return sorted(set(work))
