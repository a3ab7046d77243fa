"""When a log file is complete, and when an archived one may be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_logger.core.hours import HOUR, Hour


def complete_at(hour: Hour, first_arrival: float, grace: float) -> float:
    """When nothing more is expected in a user's file of this hour (Unix seconds).

    A file begun about its own time is complete `grace` seconds after the hour. One begun later (late readings), or more than
    an hour ahead (a gateway whose clock is wrong), gets an hour from its first line's arrival, so that what is late together
    becomes one part. The wall clock decides, never the next reading: a quiet gateway does not hold its hour open.
    """
    in_its_time = hour.start - HOUR <= first_arrival <= hour.end + grace
    return hour.end + grace if in_its_time else first_arrival + HOUR


def is_complete(hour: Hour, first_arrival: float, grace: float, now: float) -> bool:
    return now >= complete_at(hour, first_arrival, grace)


def is_current(hour: Hour, grace: float, now: float) -> bool:
    """Whether readings may be arriving in their own time for this hour, so that its files need not be looked into."""
    return hour.start - HOUR <= now < hour.end + grace


def may_be_deleted(archived_at: float, retention: float, now: float) -> bool:
    """Whether a sealed file, archived then, has been kept long enough."""
    return now >= archived_at + retention


def nothing_to_delete_yet(hour: Hour, retention: float, now: float) -> bool:
    """Whether no file of this hour can have been kept long enough: told without a look at its receipts, and right but for
    open hours that were archived early, whose files then stay until an hour longer."""
    return hour.start <= now < hour.end + retention


def oldest_first(work: Iterable[tuple[Hour, str]]) -> list[tuple[Hour, str]]:
    """Each (hour, shard) once, oldest hour first: what a backlog is drained by."""
    return sorted(set(work))
