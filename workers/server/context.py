"""What every handler works with: built once, and passed to each."""

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
from workers.server.unarchived_hours import UnarchivedHours


class ConfirmationStarter(Protocol):
    def begin(self, topic: Topic, token: str, message_id: str) -> None:
        """Confirm a subscription in the background."""
        ...


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
    """Returns the number of waiting messages, by queue. Raises RedisUnavailable."""
    unarchived: Callable[[], Awaitable[UnarchivedHours]]
    api_token: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    stretched: Callable[[float], float] = float
    """Converts real seconds to the user store's. They differ only under a test's clock."""
    workers_silent_after_s: float = 60.0
    """Real seconds. If no fetching process makes progress for longer, the system is not ready."""
    stall: StallDetector = field(default_factory=StallDetector)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    under_way: set[object] = field(default_factory=set)
    """The handlers of requests that have not been answered yet."""
