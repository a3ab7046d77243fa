"""How far a machine's clock is from Redis', by which the system goes."""

from __future__ import annotations

LARGEST_SKEW = 2.0
"""Seconds between a machine's clock and another's before somebody should look at it."""


def skew(sent: float, took: float, there: float) -> float:
    """Seconds that one's own clock is ahead. It showed `sent` when the question left; the answer came
    `took` seconds later, and says that the other clock showed `there`: half way, for all one knows."""
    return sent + took / 2 - there
