"""What an operator wants to know at a glance: every user, what waits, and what is not archived yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.state import readings_in_the_last_hour
from eagle_logger.users.store import StoredUser, Totals, UserStore


@dataclass(frozen=True, slots=True)
class UserStatus:
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
class Status:
    at: str
    totals: Totals
    users: list[UserStatus]
    queues: dict[str, int]
    unarchived_hours: list[UnsealedHour]
    processes: dict[str, float]
    """Seconds since each process last reported progress."""
    counters: dict[str, int]
    relay: str
    """The breaker for the relay as a whole: closed (all is well), open (most visits fail, a few ask on) or returning."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Folder(Protocol):
    def hours(self) -> list[Hour]: ...
    def unarchived(self, hour: Hour) -> int:
        """Files of this hour, open or sealed, that have no receipt yet."""
        ...


def user_status(stored: StoredUser, now: float) -> UserStatus:
    state = stored.state
    return UserStatus(
        cloud_id=stored.user.cloud_id,
        last_reading=None if state.last_timestamp is None else iso(state.last_timestamp),
        age=None if state.last_timestamp is None else round(now - state.last_timestamp, 1),
        readings_last_hour=readings_in_the_last_hour(state, now),
        readings_total=state.total_events_logged,
        failures=state.failures,
        last_error=state.last_error,
        next_due=None if stored.due is None else iso(stored.due),
        leased=stored.lease_ends is not None,
        why_not=state.parked,
    )


async def collect(store: UserStore, *, queues: dict[str, int], folder: Folder) -> Status:
    """Raises RedisUnavailable."""
    now = await store.now()
    users = [user_status(stored, now) async for batch in store.all() for stored in batch]
    progress = await store.progress()
    return Status(
        at=iso(now),
        totals=await store.totals(),
        users=users,
        queues=queues,
        unarchived_hours=list(_unarchived(folder)),
        processes={name: round(now - float(note["at"]), 1) for name, note in sorted(progress.items())},
        counters=dict(sorted((await store.tally()).items())),
        relay=str((await store.breaker()).phase),
    )


def _unarchived(folder: Folder) -> Iterator[UnsealedHour]:
    for hour in folder.hours():
        files = folder.unarchived(hour)
        if files:
            yield UnsealedHour(hour.name, files)
