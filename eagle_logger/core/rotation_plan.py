"""When a log file is complete, when one that failed is tried again, and when an archived one may be
deleted."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_logger.core.hours import HOUR, Hour

FIRST_PAUSE, LONGEST_PAUSE = 300.0, 6 * 3600.0
"""Seconds between two tries at an hour that fails for a reason of its own."""


def complete_at(hour: Hour, first_arrival: float, grace: float, now: float) -> float:
    """When nothing more is expected in a user's file of this hour (Unix seconds).

    A file begun about its own time is complete `grace` seconds after the hour. One begun later
    (late readings), or more than an hour ahead (a gateway whose clock is wrong), gets an hour from
    its first line's arrival, so that what is late together becomes one part. The wall clock
    decides, never the next reading: a quiet gateway does not hold its hour open.

    A wrong clock wrote an arrival that is ahead of `now`. Such a file gets an hour and the grace
    from its hour's end; if that hour is ahead of `now` too, it counts as complete at once.
    """
    if first_arrival > now:
        return now if hour.start - HOUR > now else hour.end + HOUR + grace
    in_its_time = hour.start - HOUR <= first_arrival <= hour.end + grace
    return hour.end + grace if in_its_time else first_arrival + HOUR


def is_complete(hour: Hour, first_arrival: float, grace: float, now: float) -> bool:
    return now >= complete_at(hour, first_arrival, grace, now)


def is_current(hour: Hour, grace: float, now: float) -> bool:
    """Whether readings may be arriving in their own time for this hour, so that its files need not
    be looked into."""
    return hour.start - HOUR <= now < hour.end + grace


def is_over(hour: Hour, grace: float, now: float) -> bool:
    """Whether this hour should be archived by now, as far as what arrived in its time goes."""
    return now >= hour.end + grace


def came_late(hour: Hour, grace: float, now: float) -> tuple[float, float]:
    """A file of an hour that is over and that was last written between these moments holds what
    came late: it is sealed an hour after its first line came, and does not wait for the archive
    yet. What was written ahead of `now` has a wrong clock."""
    return max(hour.end + grace, now - HOUR), now + HOUR


def may_be_tried(tried_at: float, tries: int, now: float) -> bool:
    """Whether to try an hour again that failed `tries` times for a reason of its own, the last time
    at `tried_at`. The pause doubles with each failure. A wrong clock wrote a `tried_at` that is
    ahead of `now`; it holds nothing back."""
    pause = min(FIRST_PAUSE * 2.0 ** min(tries - 1, 16), LONGEST_PAUSE)
    return not tried_at <= now < tried_at + pause


def may_be_deleted(hour: Hour, archived_at: float, retention: float, now: float) -> bool:
    """Whether a sealed file of this hour has been kept long enough. If `archived_at` is more than
    an hour ahead of `now`, a wrong clock wrote it, and the hour's end counts instead if that is
    earlier."""
    return (
        now
        >= (archived_at if archived_at <= now + HOUR else min(hour.end, archived_at)) + retention
    )


def nothing_to_delete_yet(hour: Hour, retention: float, now: float) -> bool:
    """Whether no file of this hour can have been kept long enough: told without a look at its
    receipts, and right but for open hours that were archived early, whose files then stay until an
    hour longer."""
    return hour.start <= now < hour.end + retention


def oldest_first(work: Iterable[tuple[Hour, str]]) -> list[tuple[Hour, str]]:
    """Each (hour, shard) once, oldest hour first: what a backlog is drained by."""
    return sorted(set(work))
