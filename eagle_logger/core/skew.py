"""How far a machine's clock is from Redis', whose time the system uses."""

from __future__ import annotations

LARGEST_SKEW = 2.0
"""Seconds. If a machine's clock is further from another's, a person should set it."""


def skew(sent: float, took: float, there: float) -> float:
    """Seconds that one's own clock is ahead of the other. It showed `sent` when the question left.
    The answer came `took` seconds later and holds the other clock's time, `there`, which is taken
    as read half way."""
    return sent + took / 2 - there
