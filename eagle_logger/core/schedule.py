"""When a user is visited, what it is asked, and how long it is left alone after a failure.

A user falls due at the points of its own grid, once in the shortest of its intervals. A visit that
fails is followed by a pause. After a stop the fleet comes back over several seconds.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import User

REQUEST_GAP = 1.2
"""Real seconds between the writing of two requests to one gateway. EAGLE-100s freeze when polled
within a second. The other 0.2 seconds allow for a first request that travels more slowly than the
second."""

SHORTEST_INTERVAL, LONGEST_INTERVAL = 1.0, 366 * 86400.0
"""Seconds. The bounds of a user's own interval."""

SHORTEST_PERIOD = 0.001
"""Seconds. A double cannot tell the points of a finer grid apart."""

LONGEST_BACKOFF_S = 300.0
"""A gateway is tried again after this, however often it failed. Its relay may ask for more."""

LONGEST_PAUSE_S = 86400.0
"""No user is left alone for longer, whatever its relay asked for."""

LONG_OVERDUE_S = 10.0
"""Real seconds. A user that is later than this did not wait for its turn, but for a system that was
stopped or stuck."""

FEWEST_PER_TICK = 100
"""Users that a tick may lease after a stop, however small the fleet is."""

NEW_USERS_PER_SECOND = 1000
LONGEST_SPREAD_OF_NEW_USERS_S = 6.0
"""Users that are added or woken together have all fallen due after this. Then each follows its own
grid."""

_KINDS = tuple(Kind)


def intervals_of(user: User, fleet: Mapping[Kind, float]) -> dict[Kind, float]:
    """The user's interval for each kind, in seconds: its own where it has one, else the fleet's."""
    return {kind: user.intervals.get(kind, fleet[kind]) for kind in _KINDS}


def visit_period(intervals: Mapping[Kind, float]) -> float:
    """A user is visited once in its shortest interval. Kinds that fall due less often are asked for
    at one of these visits."""
    return min(intervals.values())


def leading_kind(intervals: Mapping[Kind, float]) -> Kind:
    """The kind that is asked for at each visit; the first one, if several have the shortest
    interval."""
    return min(intervals, key=intervals.__getitem__)


def visit_phase(cloud_id: str, period: float) -> float:
    """The seconds from the beginning of a period to this user's turn. They spread the fleet evenly
    over the period."""
    return stable_fraction(cloud_id, "visit") * period


def plain_grid(cloud_id: str, intervals: Mapping[Kind, float]) -> Grid:
    """The grid of a user whose turns do not follow its meter."""
    period = visit_period(intervals)
    return Grid(period, visit_phase(cloud_id, period))


def first_turn_after(cloud_id: str, batch: int) -> float:
    """Seconds until a user falls due that was just added or woken, as one of `batch` users. A
    single user falls due at once. Several are spread by their cloud ids."""
    spread = min((batch - 1) / NEW_USERS_PER_SECOND, LONGEST_SPREAD_OF_NEW_USERS_S)
    return stable_fraction(cloud_id, "visit") * spread


def stable_fraction(*names: str) -> float:
    """A number in [0, 1): always the same for these names, and evenly spread over all names."""
    return zlib.crc32("/".join(names).encode()) / 2**32


def kinds_due(
    cloud_id: str, intervals: Mapping[Kind, float], asked: Mapping[Kind, float], now: float
) -> list[Kind]:
    """The kinds to ask for at a visit at `now` (Unix seconds), in the order of `intervals`.

    The kind with the shortest interval is due at every visit. Other kinds are due at the first
    visit after each point of their own grid. `asked` says when each kind was last asked for; a time
    in the future means that the clock was set back, and is ignored.
    """
    period = visit_period(intervals)
    return [
        kind
        for kind, interval in intervals.items()
        if interval == period
        or not _latest_point(cloud_id, kind, interval, now) <= asked.get(kind, -math.inf) <= now
    ]


def _latest_point(cloud_id: str, kind: Kind, interval: float, moment: float) -> float:
    phase = stable_fraction(cloud_id, kind) * interval
    return math.floor((moment - phase) / interval) * interval + phase


# The Redis store takes the same steps on the same doubles, in `users/redis/scripts/common.lua`.


@dataclass(frozen=True, slots=True)
class Grid:
    """When a user falls due: every `period` seconds, at `phase` + k·`period` (Unix seconds).

    Raises ValueError for a period so short that doubles cannot tell its points apart.
    """

    period: float
    phase: float

    def __post_init__(self) -> None:
        if not SHORTEST_PERIOD <= self.period < math.inf:
            raise ValueError(f"a grid cannot have a period of {self.period} s")


def next_due(now: float, grid: Grid) -> float:
    """The first point of the grid after `now`, never `now` itself."""
    return grid.phase + (_last_point(now, grid) + 1) * grid.period


def missed_turns(due: float, now: float, grid: Grid) -> int:
    """How many points of the grid passed without a visit, if a visit that was due at `due` begins
    at `now`.

    A user that was added or woken, or that is fetched once more, falls due between two points. Such
    a visit stands for the next point.
    """
    served = _last_point(due, grid)
    if grid.phase + served * grid.period != due:
        served += 1
    return max(0, _last_point(now, grid) - served)


def _last_point(moment: float, grid: Grid) -> int:
    """The number k of the last point that is not after `moment`."""
    k = math.floor((moment - grid.phase) / grid.period)
    # The division rounds, so k may be one too small or one too large.
    if grid.phase + (k + 1) * grid.period <= moment:
        return k + 1
    return k - 1 if grid.phase + k * grid.period > moment else k


def pause_after_failures(
    failures: int, period: float, cloud_id: str, retry_after: float | None = None
) -> float:
    """Seconds to leave a user alone after that many failed visits in a row.

    The first failure costs only the turn. After that the pause doubles with each failure, up to
    LONGEST_BACKOFF_S. Up to a quarter is taken off, by cloud id; otherwise users that failed
    together would come back together. The pause is never shorter than the relay asked for.
    """
    if failures <= 1:
        backoff = 0.0
    else:
        spread = 1 - stable_fraction(cloud_id, str(failures)) / 4
        backoff = min(LONGEST_BACKOFF_S, period * 2.0 ** min(failures - 2, 16)) * spread
    return max(backoff, retry_after or 0.0)


def bounded_pause(seconds: float) -> float:
    """The pause as a number that due times can be reckoned with, whatever the relay asked for: not
    negative, not endless, not NaN."""
    return min(seconds, LONGEST_PAUSE_S) if seconds > 0 else 0.0


def most_per_tick(users: int, period: float, overdue: float) -> int:
    """How many users one tick (a second) may lease, if the longest due one is `overdue` seconds
    late. `period` and `overdue` are real seconds.

    Ordinarily that is everyone who is due. After a stop the whole fleet is overdue; then a tick
    leases half as many again as an ordinary second has, so that the users do not all come at once,
    until none is long overdue.
    """
    if overdue <= LONG_OVERDUE_S:
        return users
    return max(FEWEST_PER_TICK, math.ceil(1.5 * users / period))
