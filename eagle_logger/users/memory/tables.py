"""What the three protocols in memory share: the rows of users, and the facts of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.users import User, UserState
from eagle_logger.users.cipher import Cipher


@dataclass(slots=True)
class Lease:
    """`users/redis/scripts/common.lua` explains the same members."""

    due: float
    scheduled: float
    ends: float
    announced: bool = False
    token: int = 0
    holder: str = ""
    marked: bool = False
    updated: bool = False


@dataclass(slots=True)
class StoredRow:
    """A user. Due if `due` is set, leased if `lease` is set, parked if neither is."""

    user: User
    sealed: str
    state: UserState | None = None
    due: float | None = None
    lease: Lease | None = None
    last_request: float | None = None
    abandoned: int = 0
    unproven: bool = True
    refused: bool = False

    def lease_to(self, lease: Lease) -> None:
        self.due, self.lease = None, lease

    def give_back(self, now: float) -> None:
        if self.lease:
            self.due, self.lease = min(self.lease.due, now), None

    def wake(self, due: float) -> None:
        """Forgive the user. It falls due at `due`, or earlier if it would have anyway."""
        self.due = due if self.due is None else min(due, self.due)
        self.abandoned, self.refused = 0, False
        self.state = self.state.forgiven() if self.state else None


@dataclass(slots=True)
class RemovedUser:
    remembered_until: float
    last_request: float | None
    lease_ends: float | None


@dataclass(slots=True)
class Tables:
    """`clock` gives the store's time; `speed` converts durations; `lease` is in the clock's
    seconds."""

    now: Callable[[], float]
    steady: Callable[[], float]
    speed: Clock
    cipher: Cipher
    lease: float
    rows: dict[str, StoredRow] = field(default_factory=dict)
    removed: dict[str, RemovedUser] = field(default_factory=dict)
    last_token: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    notes: dict[str, dict[str, str | int | float]] = field(default_factory=dict)
    """The last note of each process."""
    nodes: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    """Until when each `once` is remembered."""
    shards: int | None = None
    parkings: dict[str, float] = field(default_factory=dict)
    """When the relay's refusals last called for parking each of these users."""
    breaker: Breaker = field(default_factory=Breaker)
    leased_at: float | None = None
    """The time at which users were last leased."""
    leased_at_steady: float = 0.0
    """The same moment on the steady clock."""
    suspects: set[str] = field(default_factory=set)
    """Users that were suspects when their lease ended (`core.poison_users`)."""
    alone: str | None = None
    """The suspect that was last leased alone."""

    def new_token(self, now: float) -> int:
        self.last_token = max(self.last_token + 1, int(now * 1e6))
        return self.last_token
