"""What the handlers work with: built once, passed to each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from eagle_logger.inspection.health import StallDetector
from eagle_logger.sns.topics import Topic
from eagle_logger.sns.verifier import SnsVerifier
from eagle_logger.users.store import Fleet, Schedule, Users
from workers.bridge.adhoc_requests import AdhocRequests
from workers.bridge.counters import Counters
from workers.server.limits import RateLimit
from workers.server.peers import Network


class ConfirmationStarter(Protocol):
    def begin(self, topic: Topic, token: str, message_id: str) -> None:
        """Confirm a subscription in the background."""
        ...


@dataclass(frozen=True, slots=True)
class Unarchived:
    """What this machine's disk holds of hours that are over and that is not in the archive yet.

    `oldest`: start of the oldest hour that has users who wait and are not stuck, Unix seconds;
    `stuck`: how many users' hours fail for a reason of their own."""

    hours: int
    files: int
    oldest: float | None
    stuck: int = 0


@dataclass(frozen=True)
class Bridge:
    users: Users
    schedule: Schedule
    fleet: Fleet
    adhoc: AdhocRequests
    verifier: SnsVerifier
    confirmations: ConfirmationStarter
    counters: Counters
    queues: Callable[[], Awaitable[Mapping[str, int]]]
    """Messages waiting, by queue. Raises RedisUnavailable."""
    unarchived: Callable[[], Awaitable[Unarchived]]
    api_token: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    stretched: Callable[[float], float] = float
    """Real seconds in the store's (they differ only under a test's clock)."""
    worker_patience: float = 60.0
    """Real seconds without any progress of a fetching process after which the system is not ready.
    """
    stall: StallDetector = field(default_factory=StallDetector)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    under_way: set[object] = field(default_factory=set)
    """Requests that have not been answered yet."""
