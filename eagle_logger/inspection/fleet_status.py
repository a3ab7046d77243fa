"""What an operator wants to know at a glance: every user, what waits, and what is not archived yet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, NamedTuple, Protocol, Self

from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.readings import Kind
from eagle_logger.core.rotation_plan import came_late, is_over
from eagle_logger.core.user_standing import (
    OVERDUE_AFTER,
    SILENT_AFTER,
    WELL,
    Standing,
    reason,
    silent_after,
    standing,
)
from eagle_logger.core.user_state import readings_in_the_last_hour
from eagle_logger.logs.folder import StuckUserHour
from eagle_logger.settings import Settings
from eagle_logger.users.store import Outline, Totals, UserStore

MOST_STUCK = 1000
MOST_REASONS = 50
_HURRIED = 60.0
"""Real seconds. Even under a test's fast clock, no user is silent sooner."""


class UserStatus(NamedTuple):
    """One user. `age` is the age of the last reading in seconds; `why_not` says why it is not
    fetched, if it is not."""

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
    silence: float | None
    """Seconds since a new reading was logged; None if none ever was."""
    standing: str
    """`core.user_standing.Standing`."""
    unreadable: str | None
    late: float
    """Seconds by which its turn is overdue; 0 if it is not."""


@dataclass(frozen=True, slots=True)
class UnsealedHour:
    hour: str
    files: int


@dataclass(frozen=True, slots=True)
class StuckHour:
    """An hour of one user that cannot be archived for a reason of its own. `since` and `tried_at`
    are ISO 8601."""

    cloud_id: str
    hour: str
    since: str
    tried_at: str
    tries: int
    reason: str


@dataclass(frozen=True, slots=True)
class FleetStatus:
    at: str
    totals: Totals
    users: list[UserStatus] = field(
        repr=False
    )  # asyncio makes a text of what a coroutine returns, for an error it drops
    queues: dict[str, int]
    unarchived_hours: list[UnsealedHour]
    """Hours that ended more than the grace ago, with their files, but for those that late readings
    came to a moment ago."""
    stuck_hours: list[StuckHour]
    """Those on this disk, oldest first, a thousand at most."""
    processes: dict[str, float]
    """Seconds since each process last reported progress."""
    clocks_ahead: dict[str, float]
    """Seconds by which the clock of each process' machine is ahead of Redis'."""
    counters: dict[str, int]
    relay: str
    """The breaker for the relay as a whole: closed (all is well), open (most visits fail, a few ask
    on) or returning."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many users are not well, by standing and reason; the most frequent first."""
    longest_wait: float = 0.0
    """Seconds by which the user who has waited longest is overdue."""
    open_hours: list[UnsealedHour] = field(default_factory=list)
    """Hours with the files that readings still arrive for."""

    def as_json(self) -> dict[str, Any]:
        """A hundred thousand users are put into words apart: `asdict` copies whatever it meets,
        which takes it a second."""
        users = [user._asdict() for user in self.users]
        return {**asdict(replace(self, users=[])), "users": users}


class LogFolderView(Protocol):
    def hours(self) -> list[Hour]: ...
    def unarchived(self, hour: Hour) -> int:
        """Files of this hour, open or sealed, that have no receipt yet."""
        ...

    def open_written(self, hour: Hour, after: float, until: float) -> int:
        """Open files of this hour that were last written between these moments."""
        ...

    def stuck(self, hour: Hour) -> list[StuckUserHour]:
        """The notes about users whose hour cannot be archived."""
        ...


@dataclass(frozen=True)
class Expected:
    """How late is too late. Seconds of the system's clock."""

    intervals: Mapping[Kind, float]
    """The fleet's intervals."""
    grace: float
    """How long after its end an hour is sealed."""
    overdue_after: float = OVERDUE_AFTER
    silent_after: float = SILENT_AFTER

    @cached_property
    def _patience(self) -> float:
        return silent_after({}, self.intervals, self.silent_after)

    def patience(self, intervals: Mapping[Kind, float]) -> float:
        """Seconds without a reading after which a user with these intervals of its own is silent."""
        if not intervals:
            return self._patience
        return silent_after(intervals, self.intervals, self.silent_after)

    @classmethod
    def by(cls, settings: Settings) -> Self:
        stretched = settings.clock.stretched
        return cls(
            settings.intervals,
            settings.rotate_grace,
            stretched(OVERDUE_AFTER),
            max(SILENT_AFTER, stretched(_HURRIED)),
        )


def user_status(user: Outline, now: float, expected: Expected) -> UserStatus:
    (
        cloud_id,
        total,
        last,
        recent_counts,
        failures,
        last_error,
        parked,
        due,
        lease_ends,
        arrival,
        intervals,
        visited,
        unreadable,
    ) = user
    arrival = last if arrival is None else arrival
    silence = None if arrival is None else round(max(0.0, now - arrival), 1)
    late = 0.0 if due is None or now - due <= expected.overdue_after else now - due
    stands = standing(
        parked=parked is not None,
        failing=failures > 0,
        unreadable=unreadable is not None,
        overdue=late > 0,
        leased=lease_ends is not None,
        visited=visited,
        silence=silence,
        patience=expected.patience(intervals),
    )
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
        silence,
        stands.value,
        unreadable,
        round(late, 1),
    )


def worst_first(user: UserStatus) -> tuple[bool, float, int, str]:
    """A sort key: users who are not well first, and of those the longest without a reading."""
    silence = math.inf if user.silence is None else user.silence
    return user.standing in WELL, -silence, -user.failures, user.cloud_id


def reasons(users: Iterable[UserStatus]) -> dict[str, int]:
    """How many users are not well, by standing and reason; the most frequent first."""
    found = Counter(
        reason(Standing(user.standing), user.why_not or user.last_error)
        for user in users
        if user.standing not in WELL
    )
    return dict(found.most_common(MOST_REASONS))


@lru_cache(4096)
def _second(moment: int) -> str:
    """In a large fleet thousands of users share each."""
    return iso(moment)


async def collect(
    store: UserStore, *, queues: dict[str, int], folder: LogFolderView, expected: Expected
) -> FleetStatus:
    """Raises RedisUnavailable."""
    now = await store.now()
    users = [user_status(user, now, expected) async for batch in store.outlines() for user in batch]
    progress = await store.progress()
    totals = await store.totals()
    late = 0.0 if totals.oldest_due is None else now - totals.oldest_due
    waiting = list(_unarchived(folder))
    still_open = {hour.hour: _still_open(folder, hour, expected.grace, now) for hour in waiting}
    return FleetStatus(
        at=iso(now),
        totals=totals,
        users=users,
        queues=queues,
        unarchived_hours=[
            UnsealedHour(hour.hour, hour.files - still_open[hour.hour])
            for hour in waiting
            if hour.files > still_open[hour.hour]
        ],
        stuck_hours=list(islice(_stuck(folder, waiting), MOST_STUCK)),
        processes={
            name: max(0.0, round(now - float(note["at"]), 1))
            for name, note in sorted(progress.items())
        },
        clocks_ahead={
            name: float(note.get("clock_ahead", 0.0)) for name, note in sorted(progress.items())
        },
        counters=dict(sorted((await store.tally()).items())),
        relay=str((await store.breaker()).phase),
        reasons=reasons(users),
        longest_wait=round(late, 1) if late > expected.overdue_after else 0.0,
        open_hours=[UnsealedHour(hour, files) for hour, files in still_open.items() if files],
    )


def _still_open(folder: LogFolderView, waiting: UnsealedHour, grace: float, now: float) -> int:
    """How many of these files readings may still arrive for."""
    hour = Hour.parse(waiting.hour)
    if not is_over(hour, grace, now):
        return waiting.files
    return min(waiting.files, folder.open_written(hour, *came_late(hour, grace, now)))


def _unarchived(folder: LogFolderView) -> Iterator[UnsealedHour]:
    for hour in folder.hours():
        files = folder.unarchived(hour)
        if files:
            yield UnsealedHour(hour.name, files)


def _stuck(folder: LogFolderView, unarchived: list[UnsealedHour]) -> Iterator[StuckHour]:
    for hour in unarchived:
        for one in folder.stuck(Hour.parse(hour.hour)):
            yield StuckHour(
                one.cloud_id,
                hour.hour,
                _moment(one.since),
                _moment(one.tried_at),
                one.tries,
                one.reason,
            )


def _moment(seconds: float) -> str:
    """A moment of a note as ISO 8601. A note may hold a number that is no moment."""
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
