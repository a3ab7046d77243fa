"""Which users `eagle-logger status` shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from eagle_logger.core.user_standing import Standing
from eagle_logger.inspection.fleet_status import UserStatus, worst_first

FAILING = {Standing.PARKED, Standing.FAILING, Standing.UNREADABLE}
ORDERS: dict[str, Callable[[UserStatus], Any]] = {
    "silence": worst_first,
    "failures": lambda user: (user.why_not is None, -user.failures, user.cloud_id),
    "due": lambda user: (user.next_due or "", user.cloud_id),
    "id": lambda user: user.cloud_id,
}
"""The sort keys by their names on the command line."""


@dataclass(frozen=True, slots=True)
class UserSelection:
    failing: bool = False
    """Only users who fail, are parked, or cannot be read."""
    stale: float | None = None
    """Only users without a new reading for this many seconds."""
    sort: str = "silence"
    limit: int | None = None

    def choose_from(
        self, users: list[UserStatus], default_limit: int | None = None
    ) -> list[UserStatus]:
        """The selected users, sorted. `default_limit` applies if the selection has no limit."""
        selected = [user for user in users if self._includes(user)]
        limit = self.limit if self.limit is not None else default_limit
        if limit is None:
            return sorted(selected, key=ORDERS[self.sort])
        return nsmallest(limit, selected, key=ORDERS[self.sort])

    def count(self, users: list[UserStatus]) -> int:
        """How many users are selected, whatever the limit."""
        return sum(map(self._includes, users))

    def _includes(self, user: UserStatus) -> bool:
        if self.failing and user.standing not in FAILING:
            return False
        if self.stale is None:
            return True
        if user.silence is None:
            return not Standing(user.standing).is_well
        return user.silence >= self.stale
