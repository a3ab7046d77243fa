"""The relay's accounts, one for each home. An account remembers how often and how fast its home was
asked, and which messages were confirmed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.trace import TracedMeter

BUSIEST_HOMES_SHOWN = 10


@dataclass(slots=True)
class Account:
    """A home and its traffic so far. Times are monotonic, in real seconds."""

    home: Home
    traced: TracedMeter | None = None
    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    last_start: float = -math.inf
    smallest_gap: float = math.inf
    confirmed: set[str] = field(default_factory=set)
    """Ids of the messages that a client has confirmed."""

    def begin_request(self, now: float) -> int:
        """Count a request that has arrived. Returns its number, from 0."""
        self.smallest_gap = min(self.smallest_gap, now - self.last_start)
        self.last_start = now
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.requests += 1
        return self.requests - 1

    def end_request(self) -> None:
        self.in_flight -= 1


class Accounts:
    """All accounts, and the totals of /stats."""

    def __init__(self, homes: Iterable[Home], traced: TracedMeter | None = None) -> None:
        self._by_id = {home.cloud_id: Account(home, traced) for home in homes}
        self.requests = 0
        """All requests for the relay, including those with wrong credentials."""
        self.outcomes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, cloud_id: object) -> bool:
        return cloud_id in self._by_id

    def authenticate(self, headers: Mapping[str, str]) -> Account | str:
        """The account that these headers (names in lower case) have the credentials of.

        For wrong credentials, the name of the refusal in `RefusalTexts`.
        """
        account = self._by_id.get(headers.get("cloud-id", "").lower())
        if account is None:
            return "bad_cloud_id"
        home = account.home
        right = headers.get("user") == home.user_email and headers.get("password") == home.user_pw
        return account if right else "bad_password"

    def statistics(self, *, every_home: bool = False) -> dict[str, Any]:
        """What /stats shows. A gap is the real seconds between the arrivals of two requests for
        the same home."""
        accounts = list(self._by_id.values())
        counts = [account.requests for account in accounts]
        busiest = sorted(accounts, key=lambda account: -account.requests)[:BUSIEST_HOMES_SHOWN]
        crowded = max(accounts, key=lambda account: account.most_in_flight, default=None)
        hasty = min(accounts, key=lambda account: account.smallest_gap, default=None)
        if hasty is not None and hasty.smallest_gap == math.inf:
            hasty = None
        statistics: dict[str, Any] = {
            "homes": len(accounts),
            "requests": {
                "total": self.requests,
                "of_known_homes": sum(counts),
                "homes_asked": sum(1 for count in counts if count),
                "least": min(counts, default=0),
                "most": max(counts, default=0),
                "top": [
                    {"cloud_id": account.home.cloud_id, "requests": account.requests}
                    for account in busiest
                    if account.requests
                ],
            },
            "in_flight": {
                "now": sum(account.in_flight for account in accounts),
                "most": crowded.most_in_flight if crowded else 0,
                "home": crowded.home.cloud_id if crowded and crowded.most_in_flight else None,
            },
            "gap": {
                "smallest": round(hasty.smallest_gap, 6) if hasty else None,
                "home": hasty.home.cloud_id if hasty else None,
            },
            "outcomes": dict(self.outcomes.most_common()),
        }
        if every_home:
            statistics["per_home"] = {
                cloud_id: _account_statistics(account) for cloud_id, account in self._by_id.items()
            }
        return statistics


def _account_statistics(account: Account) -> dict[str, Any]:
    gap = account.smallest_gap
    return {
        "requests": account.requests,
        "most_in_flight": account.most_in_flight,
        "smallest_gap": round(gap, 6) if gap < math.inf else None,
    }
