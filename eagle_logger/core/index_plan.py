"""When a node writes down what it archived of an hour. All moments are Unix seconds."""

from __future__ import annotations

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.rotation_plan import is_over, may_be_deleted

LONGEST_WAIT_S = 3600.0
"""An archived part waits so long for others of its hour to be named with it."""
INDEXED_WITHIN_S = 7200.0
"""A part that no index object names so long after it was archived is late: it has waited for
others, and several rounds have failed to index it."""
QUIET_HOURS_STATED = 48
"""A node that was off states for so many of its last hours that it archived nothing of them."""
FORGOTTEN_AFTER_HOURS = 72
"""The local copy of an hour's index is deleted then, once the hour has no log files here."""
UNINDEXED_KEPT_S = 86400.0
"""Archived log files that the index does not name are kept this much longer than others. After
that they are deleted: a full disk would stop fetching, and the index can be rebuilt."""


def is_index_late(unindexed_since: float, now: float) -> bool:
    """Whether a person should look at why a part is not indexed, which was archived at
    `unindexed_since`."""
    return now - unindexed_since > INDEXED_WITHIN_S


def quiet_hours(since: Hour, grace: float, now: float) -> list[Hour]:
    """The hours that are over, of which a node states that it had nothing, unless it had something.
    `since` is the first hour that this node's index covers."""
    newest = Hour.of(now - grace).start - SECONDS_PER_HOUR
    oldest = max(since.start, newest - (QUIET_HOURS_STATED - 1) * SECONDS_PER_HOUR)
    return [Hour(start) for start in range(oldest, newest + 1, SECONDS_PER_HOUR)]


def is_complete_index(hour: Hour, since: Hour, waiting: int, grace: float, now: float) -> bool:
    """Whether a node can say that the index names all that it has of an hour. Of hours before
    `since` it cannot: receipts may have been deleted before there was an index."""
    return hour >= since and waiting == 0 and is_over(hour, grace, now)


def is_to_be_indexed(
    *, complete: bool, stated: bool, oldest: float | None, patience: float, now: float
) -> bool:
    """Whether to write an index object of an hour now.

    `complete`: nothing of the hour waits. `stated`: an earlier index object says so. `oldest`: when
    the first part was archived that no index object names; None if there is none. Late parts, and
    parts beside others that are stuck, wait for `patience` seconds, so that an hour does not get an
    index object for each. A moment ahead of `now` is not believed: nothing waits for it.
    """
    if complete and not stated:
        return True
    return oldest is not None and not oldest <= now < oldest + patience


def patience_for(retention: float) -> float:
    """How long a part waits for others, if log files are kept for `retention` seconds."""
    return min(LONGEST_WAIT_S, retention / 2)


def is_forgotten(hour: Hour, now: float) -> bool:
    """Whether the local copy of an hour's index is of no more use, if no log file is left."""
    return hour.start + FORGOTTEN_AFTER_HOURS * SECONDS_PER_HOUR < now


def may_be_deleted_unindexed(hour: Hour, archived_at: float, retention: float, now: float) -> bool:
    """Whether an archived log file is deleted although no index object names its part."""
    return may_be_deleted(hour, archived_at, retention + UNINDEXED_KEPT_S, now)
