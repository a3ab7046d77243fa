"""What the rest of the system needs of the place where users live.

Every active user is in exactly one of two sets: due (score: when) or leased (score: when the lease
ends). Parked users are in neither. Times are the store's own: for Redis its TIME, inside the
script, so no two machines' clocks are compared.

Adapters: `redis.store.RedisUserStore`, and its in-memory twin `memory.store.MemoryUserStore`; both
pass `tests/contract/users`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid as Grid  # noqa: PLC0414  (part of this contract: a report carries one)
from eagle_logger.core.users import Credentials, User, UserState


class Claim(NamedTuple):
    """A leased user in the hands of the worker that may fetch it.

    `token` fences: only its holder may begin a request or report back. `due` is when the user fell
    due, `claimed_at` when this claim was made, `last_request` when the last request to this gateway
    before this claim started, whoever made it (store's time, Unix seconds). `begun`: that was at
    least `REQUEST_GAP` ago, and a request that starts with this claim has been noted, as `begin`
    does; who makes it only later must `begin` it. `credentials` is None when no key we hold can
    decrypt them. `abandoned` counts the claims before this one that ended without a report (its
    holder died, or forgot), as `core.poison_users` counts them.
    """

    cloud_id: str
    token: int
    due: float
    claimed_at: float
    last_request: float | None
    user: User
    credentials: Credentials | None
    state: UserState
    abandoned: int = 0
    begun: bool = False
    unproven: bool = False
    """Whether the relay has not answered a request with the present credentials yet
    (`core.parking`)."""
    state_unreadable: str | None = None
    """Why the written state, or a part of it, cannot be read, if so; `state` is empty there."""
    record_unreadable: str | None = None
    """Why the user's record cannot be read, if so; `user` then has only its cloud id and cannot be
    fetched."""


class Report(NamedTuple):
    """What a worker says when it is done with a user for now.

    The user falls due again at the next point of `grid` after now + `pause` (how back-off is told;
    a day at most); not at all when `state.parked` is set. If the user was updated meanwhile,
    failures are forgiven: neither pause nor parking.

    While the relay refuses so many users that it is not believed (`core.parking.many_at_once`), a
    refused user (`core.parking.is_refused`) is not parked: its `pause` counts, and users who were
    just parked are woken.
    """

    cloud_id: str
    token: int
    state: UserState
    grid: Grid
    pause: float = 0.0
    blames_relay: bool = False
    """Whether the failure may be the relay's doing. If so, it does not count while the breaker is
    not closed: the user's failures stay as they were, it is not parked, and it does not wait as
    long as a refused user does."""
    since_request: float | None = None
    """Real seconds since this visit's last request was written to its connection; None without a
    request."""
    answered: bool = False
    """Whether the relay has answered with the credentials of this claim, so that they are proven.
    """


@dataclass(frozen=True, slots=True)
class ReportResult:
    """What came of a batch of reports. A cloud id that is in neither set was taken and is due again
    (or parked)."""

    again: frozenset[str]
    """State written, but somebody asked for another fetch meanwhile: still claimed, with the same
    token and a fresh lease."""
    lost: frozenset[str]
    """Somebody else's by now (the lease ran out, or the user was removed): nothing was changed."""
    missed_turns: int
    """Grid points that passed without a visit, over all reports of this batch without a pause."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What came of asking for fetches now."""

    leased: tuple[str, ...]
    """Were idle (or leased but still waiting in a queue): send these as a `fetch` message."""
    marked: tuple[str, ...]
    """Need no further message: they are being fetched right now, and their holder fetches them once
    more; or a message that was asked for already is on its way to a worker."""
    unknown: tuple[str, ...]
    parked: tuple[str, ...]
    seen_before: bool = False
    """The whole request was a repetition (same `once` key): nothing was changed."""


@dataclass(frozen=True, slots=True)
class WakeResult:
    """The result of waking users: their cloud ids."""

    woken: tuple[str, ...] = ()
    """Users who were parked, or waited after failures. They are due at once, and their failures are
    forgiven."""
    awake: tuple[str, ...] = ()
    """Users who are being fetched, or have no failures. Nothing was changed."""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user as somebody enters it. Adding one that exists replaces its credentials and cadence,
    forgives its failures and wakes it if parked; the rest of its state is kept."""

    user: User
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as it lies in the store, password encrypted (`sealed` is safe to print, export and
    import again)."""

    user: User
    sealed: str
    state: UserState
    due: float | None
    lease_ends: float | None
    unreadable: str | None = None
    """Why its record, its state or a part of the state cannot be read, if so; that part is empty
    here."""

    def breach(self) -> str | None:
        """How this user breaks the rule of being in exactly one set, or in none if parked."""
        sets = [
            name
            for name, moment in (("due", self.due), ("leased", self.lease_ends))
            if moment is not None
        ]
        if len(sets) == (0 if self.state.parked else 1):
            return None
        return f"{self.user.cloud_id}: {'parked' if self.state.parked else 'active'}, and in {' and '.join(sets) or 'neither set'}"


class Outline(NamedTuple):
    """What a list of all users shows of one: a part of its state that is read many times faster
    than the whole."""

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
    """When a new reading was logged last (Unix seconds)."""
    intervals: Mapping[Kind, float] = {}
    """Only the intervals that differ from the fleet's."""
    visited: bool = False
    """Whether a state is written, so that a visit was reported."""
    unreadable: str | None = None
    """Why its record, its state or a part of it cannot be read."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many users there are, by what becomes of them. `overdue` users have waited longer than a
    tick explains (`core.user_standing.OVERDUE_AFTER`); `oldest_due` is the earliest due time.
    `failing` users are not parked and failed at their last visit; of those, the relay refuses the
    `refused` ones (`core.parking.is_refused`)."""

    users: int
    due: int
    overdue: int
    leased: int
    parked: int
    oldest_due: float | None
    failing: int = 0
    refused: int = 0


class UserStore(Protocol):
    """Raises RedisUnavailable from any method when the store does not answer."""

    async def ping(self) -> None: ...
    async def close(self) -> None: ...
    async def now(self) -> float:
        """The store's time, Unix seconds."""
        ...

    # Scheduling -------------------------------------------------------------------------------------------------------
    async def lease(self, limit: int) -> list[str]:
        """Move up to `limit` due users, longest due first, to leased; first return to due what
        outlived its lease. Suspects are tried apart (`core.poison_users`)."""
        ...

    async def claim(self, cloud_ids: Sequence[str], holder: str) -> list[Claim]:
        """Take those of these users that are leased and not claimed yet, each with a token, a fresh
        lease, its record and its state: one round trip. The others are silently not in the answer.
        `holder` names the worker process."""
        ...

    async def begin(self, claims: Sequence[Claim]) -> frozenset[str]:
        """The cloud ids that are still this holder's; for those, note that a request starts now and
        renew the lease."""
        ...

    async def report(self, reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        """Write state and re-arm, and add `tally` to the system's counters: one round trip."""
        ...

    async def request(self, cloud_ids: Sequence[str], *, once: str | None = None) -> RequestResult:
        """Ask for a fetch of each now. With `once` (an SNS MessageId) the same request is carried
        out only the first time within two hours (longer than a signed message stays acceptable);
        marking it and leasing are one step."""
        ...

    async def forget(self, once: str | None, cloud_ids: Sequence[str] = ()) -> None:
        """Undo `request(cloud_ids, once=…)`, for when what it leased could not be enqueued: the
        same may be asked again, and who was leased is due again at once, unless a worker has
        claimed it meanwhile."""
        ...

    async def free(self, holder: str) -> list[str]:
        """Make what this holder has leased due again at once; who that was. For a worker that
        starts in a dead one's place."""
        ...

    # People -----------------------------------------------------------------------------------------------------------
    async def put(self, users: Sequence[NewUser]) -> None:
        """Add or update; they fall due soon, many at once spread over a few seconds (see
        `users.initial_spread`). Raises NoSecretKey without a key."""
        ...

    async def restore(self, users: Sequence[StoredUser]) -> None:
        """Put back what was exported, as `put` does; its state too, for users who have none here.
        Raises ValueError, before anything is changed, if a `sealed` cannot be decrypted or belongs
        to another user, and KeyNotKnown if a living process could not decrypt one; NoSecretKey
        without a key."""
        ...

    async def wake(self, cloud_ids: Sequence[str]) -> WakeResult:
        """Have users fetched again who are parked or wait after failures. Their credentials and
        state stay. They fall due soon; many at once are spread as `put` spreads them."""
        ...

    async def get(self, cloud_id: str) -> StoredUser | None: ...
    async def remove(self, cloud_id: str) -> bool: ...
    def all(self, *, after: str = "", batch: int = 500) -> AsyncIterator[list[StoredUser]]:
        """All users in order of cloud id, in batches, starting behind `after`."""
        ...

    def outlines(self) -> AsyncIterator[list[Outline]]:
        """The same, shortened."""
        ...

    async def reseal(self) -> int:
        """Encrypt anew every password that the newest key did not encrypt; how many were changed.
        Safe under load. Raises KeyNotKnown, with nothing changed, if a living process does not know
        that key; NoSecretKey, after the others were encrypted anew, if no key decrypts some of
        them."""
        ...

    # The system -------------------------------------------------------------------------------------------------------
    async def totals(self) -> Totals: ...
    async def tally(self) -> dict[str, int]:
        """The system's counters since it was first started."""
        ...

    async def count(self, tally: Mapping[str, int]) -> None:
        """Add to the system's counters, apart from any report."""
        ...

    async def breaker(self) -> Breaker:
        """How it stands with the relay as a whole; closed before anything was written."""
        ...

    async def set_breaker(self, breaker: Breaker) -> None: ...
    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        """Note that the process `name` did something just now; the note is kept an hour. Returns
        the seconds by which its machine's clock is ahead of the store's, and notes them too. A
        store with a cipher reads the key file again, and notes the keys' fingerprints."""
        ...

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        """The last note of every process that reported within the hour, with `at` (store's time)
        and `clock_ahead` (seconds). A note from the future was written before the store's clock was
        set back; it is left out."""
        ...

    async def agree_on_shards(self, shards: int) -> int:
        """Write the number of shards at first start; afterwards return what is written, whatever is
        asked."""
        ...

    async def shards(self) -> int | None:
        """The number agreed on; None before the first start."""
        ...

    async def set_shards(self, shards: int) -> None: ...
    async def register_node(self, node: str) -> None: ...
    async def nodes(self) -> list[str]:
        """Nodes whose rotator registered within the last day."""
        ...

    async def check_invariant(self) -> list[str]:
        """Every breach of "each active user in exactly one of due and leased, parked ones in
        neither", one line each. Reads everything, in small steps; safe beside a running system."""
        ...
