"""The relay's accounts: one a home, with what has to be remembered of it: how politely it was
asked, and what was confirmed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eagle_logger.simulator.relay.homes import Home

TOP = 10


@dataclass(slots=True)
class Account:
    """A home and its traffic so far. Times are monotonic, in real seconds."""

    home: Home
    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    last_start: float = -math.inf
    smallest_gap: float = math.inf
    confirmed: set[str] = field(default_factory=set)

    def begin(self, now: float) -> int:
        """A request has come in; which one it is, counted from 0."""
        self.smallest_gap = min(self.smallest_gap, now - self.last_start)
        self.last_start = now
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.requests += 1
        return self.requests - 1

    def end(self) -> None:
        self.in_flight -= 1


class Accounts:
    """All accounts, and who may speak for them."""

    def __init__(self, homes: Iterable[Home]) -> None:
        self._by_id = {home.cloud_id: Account(home) for home in homes}
        self.requests = 0
        """All that came in, whoever they claimed to speak for."""
        self.outcomes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, cloud_id: object) -> bool:
        return cloud_id in self._by_id

    def authenticate(self, headers: Mapping[str, str]) -> Account | str:
        """The account these headers (names in lower case) speak for, or the name of the wording
        that refuses them."""
        account = self._by_id.get(headers.get("cloud-id", "").lower())
        if account is None:
            return "bad_cloud_id"
        home = account.home
        right = headers.get("user") == home.user_email and headers.get("password") == home.user_pw
        return account if right else "bad_password"

    def statistics(self, *, everybody: bool = False) -> dict[str, Any]:
        """What /stats shows. Gaps are in real seconds, between the arrivals of two complete
        requests for one home."""
        accounts = list(self._by_id.values())
        counts = [account.requests for account in accounts]
        top = sorted(accounts, key=lambda account: -account.requests)[:TOP]
        crowded = max(accounts, key=lambda account: account.most_in_flight, default=None)
        hasty = min(accounts, key=lambda account: account.smallest_gap, default=None)
        shown: dict[str, Any] = {
            "homes": len(accounts),
            "requests": {
                "total": self.requests,
                "of_known_homes": sum(counts),
                "homes_asked": sum(1 for count in counts if count),
                "least": min(counts, default=0),
                "most": max(counts, default=0),
                "top": [
                    {"cloud_id": one.home.cloud_id, "requests": one.requests}
                    for one in top
                    if one.requests
                ],
            },
            "in_flight": {
                "now": sum(account.in_flight for account in accounts),
                "most": crowded.most_in_flight if crowded else 0,
                "home": crowded.home.cloud_id if crowded and crowded.most_in_flight else None,
            },
            "gap": {
                "smallest": round(hasty.smallest_gap, 6)
                if hasty and hasty.smallest_gap < math.inf
                else None,
                "home": hasty.home.cloud_id if hasty and hasty.smallest_gap < math.inf else None,
            },
            "outcomes": dict(self.outcomes.most_common()),
        }
        if everybody:
            shown["per_home"] = {
                cloud_id: one_account(account) for cloud_id, account in self._by_id.items()
            }
        return shown


def one_account(account: Account) -> dict[str, Any]:
    gap = account.smallest_gap
    return {
        "requests": account.requests,
        "most_in_flight": account.most_in_flight,
        "smallest_gap": round(gap, 6) if gap < math.inf else None,
    }
