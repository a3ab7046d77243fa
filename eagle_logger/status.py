"""What an operator wants to know at a glance: every user, what waits, and what is not archived yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, Protocol

from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.state import readings_in_the_last_hour
from eagle_logger.logs.folder import Stuck
from eagle_logger.users.store import Outline, Totals, UserStore

MOST_STUCK = 1000


class UserStatus(NamedTuple):
    """One user. `age` is the age of the last reading in seconds; `why_not` says why it is not fetched, if it is not."""

    cloud_id: str
    last_reading: str | None
    age: float | None
    readings_last_hour: int
    readings_total: int
    failures: int
    last_error: str | None
    next_due: str | None
    leased: bool
    why_not: str | None


@dataclass(frozen=True, slots=True)
class UnsealedHour:
    hour: str
    files: int


@dataclass(frozen=True, slots=True)
class StuckHour:
    """An hour of one user that fails for a reason of its own. `since` and `tried_at` are ISO 8601."""

    cloud_id: str
    hour: str
    since: str
    tried_at: str
    tries: int
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    at: str
    totals: Totals
    users: list[UserStatus] = field(repr=False)  # asyncio makes a text of what a coroutine returns, for an error it drops
    queues: dict[str, int]
    unarchived_hours: list[UnsealedHour]
    stuck_hours: list[StuckHour]
    """The oldest thousand on this disk."""
    processes: dict[str, float]
    """Seconds since each process last reported progress."""
    clocks_ahead: dict[str, float]
    """Seconds by which the clock of each process' machine is ahead of Redis'."""
    counters: dict[str, int]
    relay: str
    """The breaker for the relay as a whole: closed (all is well), open (most visits fail, a few ask on) or returning."""

    def as_json(self) -> dict[str, Any]:
        """A hundred thousand users are put into words apart: `asdict` copies whatever it meets, which takes it a second."""
        users = [user._asdict() for user in self.users]
        return {**asdict(replace(self, users=[])), "users": users}


class Folder(Protocol):
    def hours(self) -> list[Hour]: ...
    def unarchived(self, hour: Hour) -> int:
        """Files of this hour, open or sealed, that have no receipt yet."""
        ...

    def stuck(self, hour: Hour) -> list[Stuck]:
        """What is noted of users whose hour cannot be archived."""
        ...


def user_status(user: Outline, now: float) -> UserStatus:
    cloud_id, total, last, recent_counts, failures, last_error, parked, due, lease_ends = user
    return UserStatus(
        cloud_id,
        None if last is None else _second(last),
        None if last is None else round(now - last, 1),
        readings_in_the_last_hour(recent_counts, now),
        total,
        failures,
        last_error,
        None if due is None else _second(int(due)),
        lease_ends is not None,
        parked,
    )


@lru_cache(4096)
def _second(moment: int) -> str:
    """In a large fleet thousands of users share each."""
    return iso(moment)


async def collect(store: UserStore, *, queues: dict[str, int], folder: Folder) -> Status:
    """Raises RedisUnavailable."""
    now = await store.now()
    users = [user_status(user, now) async for batch in store.outlines() for user in batch]
    progress = await store.progress()
    unarchived = list(_unarchived(folder))
    return Status(
        at=iso(now),
        totals=await store.totals(),
        users=users,
        queues=queues,
        unarchived_hours=unarchived,
        stuck_hours=list(islice(_stuck(folder, unarchived), MOST_STUCK)),
        processes={name: round(now - float(note["at"]), 1) for name, note in sorted(progress.items())},
        clocks_ahead={name: float(note.get("clock_ahead", 0.0)) for name, note in sorted(progress.items())},
        counters=dict(sorted((await store.tally()).items())),
        relay=str((await store.breaker()).phase),
    )


def _unarchived(folder: Folder) -> Iterator[UnsealedHour]:
    for hour in folder.hours():
        files = folder.unarchived(hour)
        if files:
            yield UnsealedHour(hour.name, files)


def _stuck(folder: Folder, unarchived: list[UnsealedHour]) -> Iterator[StuckHour]:
    for hour in unarchived:
        for one in folder.stuck(Hour.parse(hour.hour)):
            yield StuckHour(one.cloud_id, hour.hour, _moment(one.since), _moment(one.tried_at), one.tries, one.reason)


def _moment(seconds: float) -> str:
    """A note may hold anything that is a number."""
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
