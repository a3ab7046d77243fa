"""Users' outlines and fleets, as `status` gets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eagle_logger.core.kinds import Kind
from eagle_logger.inspection.fleet_status import Expected, FleetStatus, UserStatus, user_status
from eagle_logger.users.store import Outline, Totals

NOW = 1_773_162_100.0
_EXPECTED = Expected(
    {Kind.DEMAND: 6.0, Kind.SUMMATION: 60.0, Kind.PRICE: 900.0, Kind.MESSAGE: 900.0}, 600.0
)
_NOBODY = FleetStatus("now", Totals(0, 0, 0, 0, 0, None), [], {}, [], [], {}, {}, {}, "closed")


def outline(
    cloud_id: str = "00ce69",
    *,
    total: int = 0,
    last: int | None = None,
    failures: int = 0,
    error: str | None = None,
    parked: str | None = None,
    due: float | None = NOW + 6,
    lease: float | None = None,
    intervals: dict[Kind, float] | None = None,
    visited: bool = False,
) -> Outline:
    counts = (int(NOW) // 600, 3, 4) if last else ()
    user = Outline(cloud_id, total, last, counts, failures, error, parked, due, lease)
    return user._replace(intervals=intervals or {}, visited=visited or last is not None)


def status_of(user: Outline) -> UserStatus:
    return user_status(user, NOW, _EXPECTED)


def fleet(**differences: Any) -> FleetStatus:
    """A fleet without users, but for these differences."""
    return replace(_NOBODY, **differences)
