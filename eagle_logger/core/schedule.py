"""When a user is visited, what it is asked, and how long it is left alone after a failure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import User

REQUEST_GAP = 1.2
"""Real seconds between the writing of two requests to one gateway. EAGLE-100s freeze when polled
within a second. The other 0.2 seconds allow for a first request that travels more slowly than the
second."""

SHORTEST_INTERVAL, LONGEST_INTERVAL = 1.0, 366 * 86400.0
"""Seconds. The bounds of a user's own interval."""

LONGEST_PAUSE = 300.0
"""Seconds: however often a gateway failed, it is tried again after this."""

LONG_OVERDUE = 10.0
"""Real seconds: whoever is later than this waited for a system that was stopped or stuck, not for
its turn."""
FEWEST_AT_ONCE = 100

_ORDER = tuple(Kind)


def cadence(user: User, fleet: Mapping[Kind, float]) -> dict[Kind, float]:
    """The user's interval for each kind, in seconds: its own where it has one, else the fleet's."""
    return {kind: user.intervals.get(kind, fleet[kind]) for kind in _ORDER}


def share(*names: str) -> float:
    """A number in [0, 1) that is always the same for these names, and evenly spread over all names."""
    return zlib.crc32("/".join(names).encode()) / 2**32


def visit_period(intervals: Mapping[Kind, float]) -> float:
    """A user is visited at its shortest interval; what falls due less often rides along."""
    return min(intervals.values())


def visit_phase(cloud_id: str, period: float) -> float:
    """Where in its period this user's turn lies: what spreads the fleet evenly."""
    return share(cloud_id, "visit") * period


def kinds_due(
    cloud_id: str, intervals: Mapping[Kind, float], asked: Mapping[Kind, float], now: float
) -> list[Kind]:
    """What to ask a user who is visited at `now` (Unix seconds), demand first.

    The kind with the shortest interval is asked at every visit, another one at the first visit
    after a point of its own grid that it was not asked since. What was asked in the future was
    asked before the clock was set back.
    """
    period = visit_period(intervals)
    return [
        kind
        for kind, interval in intervals.items()
        if interval == period
        or not _latest_point(cloud_id, kind, interval, now) <= asked.get(kind, -math.inf) <= now
    ]


def _latest_point(cloud_id: str, kind: Kind, interval: float, moment: float) -> float:
    phase = share(cloud_id, kind) * interval
    return math.floor((moment - phase) / interval) * interval + phase


def most_at_once(users: int, period: float, overdue: float) -> int:
    """How many users one tick (a second) may lease, when the longest due one is that late (real
    seconds, as `period` is).

    Everybody who is due, in the ordinary course. After a stop the whole fleet is overdue: then half
    as many again as an ordinary second has, so that they do not all come at once. That ends by
    itself as soon as nobody is long overdue.
    """
    if overdue <= LONG_OVERDUE:
        return users
    return max(FEWEST_AT_ONCE, math.ceil(1.5 * users / period))


def pause_after(
    failures: int, period: float, cloud_id: str, retry_after: float | None = None
) -> float:
    """Seconds to leave a user alone after that many failed visits in a row.

    The first failure costs nothing but the turn; then twice as long each time, capped, and spread
    by up to a quarter so that a fleet that failed together does not come back together. Never less
    than the relay asked for.
    """
    if failures <= 1:
        backoff = 0.0
    else:
        backoff = min(LONGEST_PAUSE, period * 2.0 ** min(failures - 2, 16)) * (
            1 - share(cloud_id, str(failures)) / 4
        )
    return max(backoff, retry_after or 0.0)
