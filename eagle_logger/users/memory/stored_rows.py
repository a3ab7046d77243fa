"""What the store in memory keeps of each user, and of the system."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from eagle_logger.core.circuit_breaker import Breaker
from eagle_logger.core.users import User, UserState


@dataclass(slots=True)
class Lease:
    """See `users/redis/scripts/common.lua`, where the same members are explained."""

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
    user: User
    sealed: str
    state: UserState | None = None
    due: float | None = None
    lease: Lease | None = None
    last_request: float | None = None
    abandoned: int = 0
    unproven: bool = True
    refused: bool = False

    def give_back(self, now: float) -> None:
        if self.lease:
            self.due, self.lease = min(self.lease.due, now), None


@dataclass(slots=True)
class RemovedUser:
    remembered_until: float
    last_request: float | None
    lease_ends: float | None


@dataclass(slots=True)
class FleetFacts:
    tally: Counter[str] = field(default_factory=Counter)
    notes: dict[str, dict[str, str | int | float]] = field(default_factory=dict)
    nodes: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    shards: int | None = None
    parkings: dict[str, float] = field(default_factory=dict)
    """When the relay's refusals last called for parking each of these users."""
    breaker: Breaker = field(default_factory=Breaker)
    clock: float | None = None
    steady: float = 0.0
    tried: frozenset[str] = frozenset()
    convicting: bool = False
