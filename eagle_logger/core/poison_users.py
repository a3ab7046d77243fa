"""A user whose reply kills the process that handles it: found out, and parked, without harm to
those who only were there.

Whoever dies takes many users with it, so a death makes nobody guilty. A user whose claims ended
twice in a row without a report is a suspect. Suspects rest a moment and are then tried apart: at
most one small group of them is in anybody's hands at a time, those with the fewest deaths first,
and who died in a group is tried alone. A trial that is survived clears its users. Deaths in trials
count on; after the fifth a user is convicted and parked, but only while there are hardly any other
suspects: where nearly everybody is one, it is the process that dies of itself, or somebody kills
it.

The Redis store does the same inside its scripts (`users/redis/scripts/common.lua`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

SUSPECTED_AFTER = 2
ALONE_AFTER = 3
CONVICTED_AFTER = 5
"""Deaths in a row."""
TOGETHER = 16
PART = 8
"""So many suspects are tried together at first, or this part of all of them: where thousands are,
hardly one is guilty."""
FEW = 3
"""No more suspects than these, and they are tried alone from the beginning, and can be convicted.
"""
REST = 5.0
"""Real seconds: who was with a suspect by chance is fetched before the suspect is tried, and is not
there again."""
WAIT = 0.5
"""Real seconds after which a suspect whose turn it is not is looked at again."""


class SuspectedUser(NamedTuple):
    """In the order in which they are tried."""

    deaths: int
    due: float
    cloud_id: str


def is_suspect(deaths: int) -> bool:
    return deaths >= SUSPECTED_AFTER


def is_convicted(deaths: int) -> bool:
    return deaths >= CONVICTED_AFTER


def tried_next(suspects: Sequence[SuspectedUser]) -> list[SuspectedUser]:
    """Who of those whose turn has come is tried, when nobody else is."""
    in_order = sorted(suspects)
    if len(in_order) <= FEW or in_order[0].deaths >= ALONE_AFTER:
        return in_order[:1]
    return [one for one in in_order if one.deaths < ALONE_AFTER][
        : max(TOGETHER, math.ceil(len(in_order) / PART))
    ]


def can_convict(suspects: Sequence[SuspectedUser]) -> bool:
    return len(suspects) <= FEW


def deaths_if_it_dies(deaths: int, *, tried: bool, convicting: bool) -> int:
    """How many deaths stand against a user when the claim that begins now ends without a report."""
    if not is_suspect(deaths):
        return deaths + 1
    if not tried:
        return deaths
    return deaths + 1 if convicting else max(deaths, min(deaths + 1, CONVICTED_AFTER - 1))
