"""The grid: when a user's next turn is, and how many turns passed without a visit.

The Redis store works this out inside its scripts (`users/scripts/common.lua`), with the same steps on the same doubles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """When a user falls due: every `period` seconds, at `phase` + k·`period` (Unix seconds)."""

    period: float
    phase: float


def next_due(now: float, grid: Grid) -> float:
    """The first point of the grid that lies after `now` (never at it)."""
    return grid.phase + (_last_point(now, grid) + 1) * grid.period


def missed_turns(due: float, now: float, grid: Grid) -> int:
    """How many points of the grid lie after `due`, and not after `now`."""
    return max(0, _last_point(now, grid) - _last_point(due, grid))


def _last_point(moment: float, grid: Grid) -> int:
    """The number k of the last point that is not after `moment`. Division rounds, so its answer is checked."""
    k = math.floor((moment - grid.phase) / grid.period)
    while grid.phase + (k + 1) * grid.period <= moment:
        k += 1
    while grid.phase + k * grid.period > moment:
        k -= 1
    return k
