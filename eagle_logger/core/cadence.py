"""The grid: when a user's next turn is, and how many turns passed without a visit.

The Redis store works this out inside its scripts (`users/redis/scripts/common.lua`), with the same
steps on the same doubles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHORTEST_PERIOD = 0.001
LONGEST_PAUSE = 86400.0
"""Seconds. Who told us to stay away for longer is asked again after a day."""


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
    """The first point of the grid that lies after `now` (never at it)."""
    return grid.phase + (_last_point(now, grid) + 1) * grid.period


def missed_turns(due: float, now: float, grid: Grid) -> int:
    """How many points of the grid have passed by `now` without a visit, when this visit fell due at
    `due`.

    A `due` that is no point of the grid counts as the next point: the user was added or woken, or
    is fetched once more.
    """
    served = _last_point(due, grid)
    if grid.phase + served * grid.period != due:
        served += 1
    return max(0, _last_point(now, grid) - served)


def bounded_pause(seconds: float) -> float:
    """A pause that the arithmetic can bear, whatever a relay wished for: not negative, not endless,
    a number."""
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else 0.0


def _last_point(moment: float, grid: Grid) -> int:
    """The number k of the last point that is not after `moment`. Division rounds, so its answer is
    checked."""
    k = math.floor((moment - grid.phase) / grid.period)
    if grid.phase + (k + 1) * grid.period <= moment:
        return k + 1
    return k - 1 if grid.phase + k * grid.period > moment else k
