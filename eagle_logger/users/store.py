"""The three protocols behind which users are stored, and the values they exchange.

- `Users`: the users themselves: add, list, remove, encrypt anew.
- `Schedule`: when each user is fetched, and by which worker.
- `Fleet`: facts about the system as a whole: counters, processes, nodes, the circuit breaker.

`redis/` and `memory/` have an adapter of each; both pass `tests/contract/users`.

Every active user is in exactly one of two sets: due (score: when it falls due) or leased (score:
when the lease ends). A parked user is in neither. All times are the store's own. Redis takes them
from its TIME inside the script, so the clocks of two machines are never compared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.kinds import Kind
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm
from eagle_logger.core.schedule import Grid as Grid  # noqa: PLC0414  (part of this contract: a report carries one)
from eagle_logger.core.users import Credentials, User, UserState

REQUEST_REMEMBERED_S = 7200
"""A repeated `Schedule.request` is recognised for this long. A signed SNS message is acceptable for
a shorter time."""
PROGRESS_KEPT_S = 3600.0
"""A process that has not reported for this long is forgotten."""
NODE_KEPT_S = 86400.0
"""A node whose rotator has not registered for this long is forgotten."""


class Claim(NamedTuple):
    """The right of one worker to fetch one user. The times are the store's, in Unix seconds."""

    cloud_id: str
    token: int
    """Only the holder of this token may begin a request or report."""
    due: float
    """When the user fell due."""
    claimed_at: float
    last_request: float | None
    """When the last request to this gateway before this claim started, whichever worker made it."""
    user: User
    credentials: Credentials | None
    """None if no key that this process has decrypts them."""
    state: UserState
    abandoned: int = 0
    """Claims before this one that ended without a report in a row (`core.poison_users`)."""
    begun: bool = False
    """True if the previous request was at least `REQUEST_GAP` seconds ago, so the store has already
    recorded a request starting now. Send it at once. If you send it later, call `begin` first."""
    unproven: bool = False
    """True if the relay has not answered a request with the present credentials yet
    (`core.parking`)."""
    state_unreadable: str | None = None
    """Why the written state, or a part of it, cannot be read. That part of `state` is empty."""
    record_unreadable: str | None = None
    """Why the user's record cannot be read. `user` then has only its cloud id, and the user cannot
    be fetched."""


class Report(NamedTuple):
    """How a worker ends a claim: the user's new state, and when to fetch it next.

    The user falls due at the first point of `grid` after now + `pause`. If `state.parked` is set,
    it does not fall due at all. If the user was updated during the visit, its failures are
    forgiven: it neither pauses nor is parked.

    While the relay refuses too many users to be believed (`core.parking.many_at_once`), a refused
    user (`core.parking.is_refused`) is not parked. It waits for its `pause` instead, and users who
    were parked a moment ago are woken.
    """

    cloud_id: str
    token: int
    state: UserState
    grid: Grid
    pause: float = 0.0
    """Seconds to leave the user alone, at most a day."""
    blames_relay: bool = False
    """True if the relay may have caused the failure. Such a failure counts only while the breaker
    is closed. Otherwise the user's failures stay as they were, it is not parked, and a refused user
    does not pause."""
    since_request: float | None = None
    """Real seconds since the last request of this visit was written to its connection; None if
    there was no request."""
    answered: bool = False
    """True if the relay has answered with the credentials of this claim, which proves them."""


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What became of a batch of reports. A cloud id that is in neither set was accepted, and its
    user is due again or parked."""

    again: frozenset[str]
    """The state was written, but another fetch was requested during the visit: the worker still
    holds the claim, with the same token and a fresh lease."""
    lost: frozenset[str]
    """Nothing was changed, because another worker may hold the user (the lease ran out), or the
    user was removed."""
    missed_turns: int
    """Points of their grids that passed without a visit, over all reports without a pause."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What became of a request to fetch users now: their cloud ids."""

    leased: tuple[str, ...]
    """Send these in a `fetch` message. They were idle, or were leased by the schedule and not
    claimed by a worker yet."""
    marked: tuple[str, ...]
    """These need no further message: their worker fetches them once more, or a message that was
    requested before is on its way."""
    unknown: tuple[str, ...]
    parked: tuple[str, ...]
    seen_before: bool = False
    """True if a request with the same `once` was carried out before. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class WakeResult:
    """What became of waking users: their cloud ids."""

    woken: tuple[str, ...] = ()
    """They were parked, or waited after failures. Their failures are forgiven, and they fall due
    soon."""
    awake: tuple[str, ...] = ()
    """They are being fetched, or have no failures. Nothing was changed."""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user with its password in the clear, as a person enters it."""

    user: User
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as it is stored. `sealed` is its encrypted password, safe to print, export and import
    again."""

    user: User
    sealed: str
    state: UserState
    due: float | None
    lease_ends: float | None
    unreadable: str | None = None
    """Why its record, its state or a part of the state cannot be read. That part is empty."""


class Outline(NamedTuple):
    """One user in a list of all users: what a status shows of it."""

    cloud_id: str
    total_events_logged: int
    last_timestamp: int | None
    recent_counts: tuple[int, ...]
    failures: int
    last_error: str | None
    parked: str | None
    due: float | None
    lease_ends: float | None
    last_arrival: float | None = None
    """When a new reading was last logged (Unix seconds)."""
    intervals: Mapping[Kind, float] = {}
    """Only the intervals that differ from the fleet's."""
    visited: bool = False
    """True if a visit has been reported, so that there is a state."""
    unreadable: str | None = None
    """Why its record, its state or a part of the state cannot be read."""
    rhythm: Rhythm = NO_RHYTHM
    in_step: bool | None = None
    """As in `User`."""

    @classmethod
    def of(cls, stored: StoredUser, *, visited: bool) -> Self:
        state = stored.state
        return cls(
            cloud_id=stored.user.cloud_id,
            total_events_logged=state.total_events_logged,
            last_timestamp=state.last_timestamp,
            recent_counts=state.recent_counts,
            failures=state.failures,
            last_error=state.last_error,
            parked=state.parked,
            due=stored.due,
            lease_ends=stored.lease_ends,
            last_arrival=state.last_arrival,
            intervals=stored.user.intervals,
            visited=visited,
            unreadable=stored.unreadable,
            rhythm=state.rhythm,
            in_step=stored.user.in_step,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """How many users there are, and what becomes of them."""

    users: int
    due: int
    overdue: int
    """Due for longer than the pause between two ticks explains
    (`core.user_standing.OVERDUE_AFTER_S`)."""
    leased: int
    parked: int
    oldest_due: float | None
    """The earliest due time."""
    failing: int = 0
    """Not parked, and their last visit failed."""
    refused: int = 0
    """The failing users whom the relay refuses (`core.parking.is_refused`)."""
    newly_leased: int = 0
    """Leased users whose lease was given or renewed within the first part of it
    (`core.overload.COUNTED_IN_LEASES`)."""


class Users(Protocol):
    """The users themselves. Every method raises RedisUnavailable if the store does not answer."""

    async def put(self, users: Sequence[NewUser]) -> None:
        """Add or update users. They fall due soon, many at once spread over a few seconds
        (`core.schedule.first_turn_after`).

        An update replaces credentials and cadence, forgives failures and wakes the user if it is
        parked; the rest of its state is kept. Raises NoSecretKey without a key, and KeyNotKnown if
        a living process does not know the newest key.
        """
        ...

    async def restore(self, users: Sequence[StoredUser]) -> None:
        """Put back exported users, as `put` does. Users who have no state here get theirs back too.

        Raises, before anything is changed, ValueError if a `sealed` cannot be decrypted or belongs
        to another user, KeyNotKnown if a living process could not decrypt one, and NoSecretKey
        without a key.
        """
        ...

    async def get(self, cloud_id: str) -> StoredUser | None: ...

    async def remove(self, cloud_id: str) -> bool:
        """Remove the user. Returns whether there was one."""
        ...

    def all(self, *, after: str = "", batch: int = 500) -> AsyncIterator[list[StoredUser]]:
        """All users in order of cloud id, `batch` at a time, from the first id after `after` on."""
        ...

    def outlines(self) -> AsyncIterator[list[Outline]]:
        """The outlines of all users, in order of cloud id, many at a time."""
        ...

    async def reseal(self) -> int:
        """Encrypt every password that is not encrypted with the newest key anew. Returns how many.

        Safe beside a running system. Raises KeyNotKnown, with nothing changed, if a living process
        does not know the newest key. Raises NoSecretKey, after all other passwords were encrypted
        anew, if some cannot be decrypted with any key.
        """
        ...


class Schedule(Protocol):
    """When each user is fetched, and by which worker. Every method raises RedisUnavailable if the
    store does not answer."""

    async def lease(self, limit: int) -> list[str]:
        """Move up to `limit` due users, longest due first, to leased. Users whose lease has ended
        become due again first. Suspects are leased apart (`core.poison_users`)."""
        ...

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        """Claim those of these users that are leased and not claimed yet, in one round trip. A
        claim renews the lease. `holder` names the worker process."""
        ...

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        """Record that a request to each of these users starts now, and renew its lease. Returns the
        cloud ids whose claims still hold."""
        ...

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        """End these claims and add `tally` to the system's counters, in one round trip."""
        ...

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        """Have these users fetched now.

        A second request with the same `once` (an SNS MessageId) within `REQUEST_REMEMBERED_S`
        changes nothing. Remembering `once` and leasing the users are one step.
        """
        ...

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        """Undo `request(cloud_ids, once=…)` when its message could not be sent: `once` may be used
        again, and the users are due again unless a worker has claimed them since."""
        ...

    async def free(self, holder: str) -> list[str]:
        """Make all users that `holder` has claimed due again. Returns their cloud ids. For a worker
        that starts in the place of one that died."""
        ...

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        """Have users fetched again who are parked or wait after failures. Their credentials and
        state are kept. They fall due soon; many at once are spread as `Users.put` spreads them."""
        ...


class Fleet(Protocol):
    """Facts about the system as a whole. Every method raises RedisUnavailable if the store does not
    answer."""

    async def now(self) -> float:
        """The store's time, in Unix seconds."""
        ...

    async def totals(self) -> Totals: ...

    async def tally(self) -> dict[str, int]:
        """The system's counters since its first start."""
        ...

    async def count(self, tally: Mapping[str, int]) -> None:
        """Add to the system's counters."""
        ...

    async def breaker(self) -> Breaker:
        """The circuit breaker between the system and the relay; closed if none was written."""
        ...

    async def set_breaker(self, breaker: Breaker) -> None: ...

    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        """Record that the process `name` is alive, together with `note`.

        Returns how many seconds the clock of its machine is ahead of the store's, and records that
        too. A process that has keys reads its key file again and records their fingerprints
        (`known_keys`).
        """
        ...

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        """The last note of every process that was alive within `PROGRESS_KEPT_S`, with `at` (the
        store's time) and `clock_ahead` (seconds). A note from the future was written before the
        store's clock was set back; it is left out."""
        ...

    async def agree_on_shards(self, shards: int) -> int:
        """Returns the number of shards that was agreed on. The first call writes `shards`."""
        ...

    async def shards(self) -> int | None:
        """The number of shards that was agreed on; None before the first start."""
        ...

    async def set_shards(self, shards: int) -> None: ...
    async def register_node(self, node: str) -> None: ...

    async def nodes(self) -> list[str]:
        """The nodes whose rotator registered within `NODE_KEPT_S`."""
        ...


@dataclass(frozen=True, slots=True)
class UserStore:
    """The three protocols over one connection. Pass on only the one that is needed."""

    users: Users
    schedule: Schedule
    fleet: Fleet
    close: Callable[[], Coroutine[Any, Any, None]]
