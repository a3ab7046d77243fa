"""The fleet at a glance: every user, what waits, and what is not archived yet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, NamedTuple, Protocol, Self

from eagle_logger.broker_queues import DISPATCH
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.in_step import Turns, turns_of
from eagle_logger.core.index_plan import is_index_late
from eagle_logger.core.kinds import Kind
from eagle_logger.core.rotation_plan import is_over, late_arrivals_between
from eagle_logger.core.table_plan import ROLL_UP, is_late, waiting_days
from eagle_logger.core.user_standing import (
    OVERDUE_AFTER_S,
    SILENT_AFTER_S,
    WELL,
    Standing,
    reason,
    silent_after,
    standing,
)
from eagle_logger.core.user_state import readings_in_the_last_hour
from eagle_logger.core.users import User
from eagle_logger.inspection.health import DISPATCH_SILENT_AFTER_S
from eagle_logger.logs.folder import StuckUserHour
from eagle_logger.settings import Settings
from eagle_logger.users.store import Outline, Totals, UserStore

MOST_STUCK_HOURS = 1000
MOST_REASONS = 50
TOO_MUCH_ADVICE = (
    "More workers if processors are idle, else another machine, or a longer EAGLE_DEMAND_INTERVAL: "
    "docs/explanation/overload.md"
)
_SILENT_AFTER_AT_LEAST_S = 60.0
"""Real seconds. Even under a test's fast clock, no user counts as silent sooner."""


class UserStatus(NamedTuple):
    cloud_id: str
    last_reading: str | None
    age: float | None
    """The age of the last reading, in seconds."""
    readings_last_hour: int
    readings_total: int
    failures: int
    last_error: str | None
    next_due: str | None
    leased: bool
    why_not: str | None
    """Why the user is parked, if it is."""
    silence: float | None
    """Seconds since a new reading was logged; None if none ever was."""
    standing: str
    """`core.user_standing.Standing`."""
    unreadable: str | None
    """Why the user's record, or its state, cannot be read."""
    late: float
    """Seconds by which its turn is overdue; 0 if it is not."""
    in_step: bool = False
    """Whether its turns follow its meter."""
    period: float | None = None
    """The seconds from beat to beat of its meter; None if it shows no rhythm."""
    requests_per_reading: float | None = None
    """Over the last readings: requests for each that a reply showed for the first time."""
    age_at_arrival: float | None = None
    """Over the last readings: the seconds for which the gateway had shown each when it came
    (estimated)."""


@dataclass(frozen=True, slots=True)
class UnarchivedHour:
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
class UnindexedHour:
    """An hour with parts that the archive's index should name by now. `since` is when the first of
    them was archived, in ISO 8601."""

    hour: str
    since: str


@dataclass(frozen=True, slots=True)
class LateDay:
    """A UTC day that is complete in the archive and not in day tables, though it should be. `since`
    is when a round of `roll_up` first saw that, in ISO 8601."""

    day: str
    since: str


@dataclass(frozen=True, slots=True)
class TooMuch:
    """There are more users than the workers can visit in time: the seconds between two visits to a
    user, and the seconds that there should be (`core.overload`)."""

    visited_every: float
    instead_of: float

    @classmethod
    def from_note(cls, note: Mapping[str, str | int | float]) -> Self | None:
        """What the dispatcher's note of progress says; None if the workers keep up."""
        every, period = note.get("visited_every"), note.get("instead_of")
        if isinstance(every, int | float) and isinstance(period, int | float) and every > period:
            return cls(every, period)
        return None

    def __str__(self) -> str:
        every, period = f"{self.visited_every:.3g}", f"{self.instead_of:g}"
        return f"each home is visited every {every} s instead of {period}"


@dataclass(frozen=True, slots=True)
class FleetStatus:
    at: str
    totals: Totals
    users: list[UserStatus] = field(repr=False)
    """Not in `repr`: asyncio makes a text of a coroutine's result, for an error that it drops."""
    queues: dict[str, int]
    unarchived_hours: list[UnarchivedHour]
    """Hours that ended more than the grace ago, with the number of their files. Files to which late
    readings came a moment ago do not count."""
    stuck_hours: list[StuckHour]
    """The stuck hours on this disk, oldest first; at most `MOST_STUCK_HOURS`."""
    processes: dict[str, float]
    """Seconds since each process last reported progress."""
    clocks_ahead: dict[str, float]
    """Seconds by which the clock of each process' machine is ahead of Redis'."""
    counters: dict[str, int]
    relay: str
    """The breaker for the relay as a whole: closed (all is well), open (most visits fail, so only a
    few users are asked) or returning."""
    reasons: dict[str, int] = field(default_factory=dict)
    """How many users are not well, by standing and reason; the most frequent first."""
    longest_wait: float = 0.0
    """Seconds by which the user who has waited longest is overdue."""
    open_hours: list[UnarchivedHour] = field(default_factory=list)
    """Hours with the number of files for which readings still arrive."""
    unindexed_hours: list[UnindexedHour] = field(default_factory=list)
    """Hours on this disk that are archived and not in the archive's index, though they should be;
    oldest first."""
    late_days: list[LateDay] = field(default_factory=list)
    """Oldest first."""
    too_much: TooMuch | None = None

    def as_json(self) -> dict[str, Any]:
        # `asdict` would copy every value, which takes it a second for a hundred thousand users.
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

    def unindexed_hours(self) -> dict[Hour, float]:
        """The hours with parts that are not indexed, and when the first of them was archived."""
        ...


@dataclass(frozen=True)
class Expected:
    """How late is too late. Seconds of the system's clock."""

    intervals: Mapping[Kind, float]
    """The fleet's intervals."""
    grace: float
    """How long after its end an hour is sealed."""
    overdue_after: float = OVERDUE_AFTER_S
    silent_after: float = SILENT_AFTER_S
    dispatch_silent_after: float = DISPATCH_SILENT_AFTER_S
    in_step: bool = True
    """Whether users' turns follow their meters, unless a user differs."""
    tick: float = 1.0
    """A real second."""

    def turns(self, user: Outline) -> Turns:
        return turns_of(
            User(user.cloud_id, user.intervals, in_step=user.in_step),
            self.intervals,
            fleet_in_step=self.in_step,
            tick=self.tick,
        )

    @cached_property
    def _patience_of_most_users(self) -> float:
        return silent_after({}, self.intervals, self.silent_after)

    def patience(self, intervals: Mapping[Kind, float]) -> float:
        """Seconds without a reading after which a user with these `intervals` is silent."""
        if not intervals:
            return self._patience_of_most_users
        return silent_after(intervals, self.intervals, self.silent_after)

    @classmethod
    def by(cls, settings: Settings) -> Self:
        stretched = settings.clock.stretched
        return cls(
            settings.intervals,
            settings.rotate_grace,
            stretched(OVERDUE_AFTER_S),
            max(SILENT_AFTER_S, stretched(_SILENT_AFTER_AT_LEAST_S)),
            stretched(DISPATCH_SILENT_AFTER_S),
            settings.in_step,
            stretched(1.0),
        )


def user_status(user: Outline, now: float, expected: Expected) -> UserStatus:
    last_reading, due, rhythm = user.last_timestamp, user.due, user.rhythm
    arrival = last_reading if user.last_arrival is None else user.last_arrival
    silence = None if arrival is None else round(max(0.0, now - arrival), 1)
    late = 0.0 if due is None or now - due <= expected.overdue_after else now - due
    is_leased = user.lease_ends is not None
    stands = standing(
        parked=user.parked is not None,
        failing=user.failures > 0,
        unreadable=user.unreadable is not None,
        overdue=late > 0,
        leased=is_leased,
        visited=user.visited,
        silence=silence,
        patience=expected.patience(user.intervals),
    )
    return UserStatus(
        cloud_id=user.cloud_id,
        last_reading=None if last_reading is None else _iso_cached(last_reading),
        age=None if last_reading is None else round(now - last_reading, 1),
        readings_last_hour=readings_in_the_last_hour(user.recent_counts, now),
        readings_total=user.total_events_logged,
        failures=user.failures,
        last_error=user.last_error,
        next_due=None if due is None else _iso_cached(int(due)),
        leased=is_leased,
        why_not=user.parked,
        silence=silence,
        standing=stands.value,
        unreadable=user.unreadable,
        late=round(late, 1),
        in_step=expected.turns(user).follow(rhythm),
        period=round(rhythm.period, 2) or None,
        requests_per_reading=round(rhythm.requests_per_reading, 2) or None,
        age_at_arrival=round(rhythm.age, 1) if rhythm.period else None,
    )


def worst_first(user: UserStatus) -> tuple[bool, float, int, str]:
    """A sort key: users who are not well first, and of those the longest without a reading."""
    silence = math.inf if user.silence is None else user.silence
    return user.standing in WELL, -silence, -user.failures, user.cloud_id


def reasons(users: Iterable[UserStatus]) -> dict[str, int]:
    """How many users are not well, by standing and reason; the most frequent first."""
    counts = Counter(
        reason(Standing(user.standing), user.why_not or user.last_error)
        for user in users
        if user.standing not in WELL
    )
    return dict(counts.most_common(MOST_REASONS))


@lru_cache(4096)
def _iso_cached(second: int) -> str:
    """In a large fleet, thousands of users share each second."""
    return iso(second)


async def collect(
    store: UserStore, *, queues: dict[str, int], folder: LogFolderView, expected: Expected
) -> FleetStatus:
    """Raises RedisUnavailable."""
    now = await store.fleet.now()
    users = [
        user_status(user, now, expected) async for batch in store.users.outlines() for user in batch
    ]
    progress = sorted((await store.fleet.progress()).items())
    totals = await store.fleet.totals()
    longest_wait = 0.0 if totals.oldest_due is None else now - totals.oldest_due
    unarchived, still_open = _unarchived_hours(folder, expected.grace, now)
    waiting = sorted({hour.hour for hour in [*unarchived, *still_open]})
    return FleetStatus(
        at=iso(now),
        totals=totals,
        users=users,
        queues=queues,
        unarchived_hours=unarchived,
        stuck_hours=list(islice(_stuck_hours(folder, waiting), MOST_STUCK_HOURS)),
        processes={
            name: max(0.0, round(now - float(report["at"]), 1)) for name, report in progress
        },
        clocks_ahead={name: float(report.get("clock_ahead", 0.0)) for name, report in progress},
        counters=dict(sorted((await store.fleet.tally()).items())),
        relay=str((await store.fleet.breaker()).phase),
        reasons=reasons(users),
        longest_wait=round(longest_wait, 1) if longest_wait > expected.overdue_after else 0.0,
        open_hours=still_open,
        unindexed_hours=[
            UnindexedHour(hour.name, _moment(since))
            for hour, since in sorted(folder.unindexed_hours().items())
            if is_index_late(since, now)
        ],
        late_days=[
            LateDay(day.date, _moment(since))
            for day, since in waiting_days(dict(progress).get(ROLL_UP, {})).items()
            if is_late(since, now)
        ],
        too_much=_too_much(dict(progress).get(DISPATCH, {}), now, expected),
    )


def _too_much(
    note: Mapping[str, str | int | float], now: float, expected: Expected
) -> TooMuch | None:
    """A dispatcher that is silent has a check of its own. What it wrote last is outdated."""
    if now - float(note.get("at", -math.inf)) > expected.dispatch_silent_after:
        return None
    return TooMuch.from_note(note)


def _unarchived_hours(
    folder: LogFolderView, grace: float, now: float
) -> tuple[list[UnarchivedHour], list[UnarchivedHour]]:
    """The hours with files that should be archived by now, and the hours with files for which
    readings still arrive. An hour may be in both."""
    unarchived, still_open = list[UnarchivedHour](), list[UnarchivedHour]()
    for hour in folder.hours():
        files = open_files = folder.unarchived(hour)
        if is_over(hour, grace, now):
            open_files = min(
                files, folder.open_written(hour, *late_arrivals_between(hour, grace, now))
            )
        if files > open_files:
            unarchived.append(UnarchivedHour(hour.name, files - open_files))
        if open_files:
            still_open.append(UnarchivedHour(hour.name, open_files))
    return unarchived, still_open


def _stuck_hours(folder: LogFolderView, hours: list[str]) -> Iterator[StuckHour]:
    for hour in hours:
        for note in folder.stuck(Hour.parse(hour)):
            yield StuckHour(
                cloud_id=note.cloud_id,
                hour=hour,
                since=_moment(note.since),
                tried_at=_moment(note.tried_at),
                tries=note.tries,
                reason=note.reason,
            )


def _moment(seconds: float) -> str:
    """The moment of a note as ISO 8601. A note may hold a number that is no moment."""
    try:
        return iso(seconds)
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
