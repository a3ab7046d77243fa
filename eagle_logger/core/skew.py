"""How far a machine's clock is from Redis' clock, which gives the system its time."""

from __future__ import annotations

LARGEST_SKEW_S = 2.0
"""If a machine's clock is further than this from another clock, a person should set it."""


def skew(sent: float, took: float, there: float) -> float:
    """Seconds that this machine's clock is ahead of the other clock.

    This machine's clock showed `sent` when the question left. The answer came `took` seconds later,
    and says that the other clock showed `there`. The other clock counts as read half way between.
    """
    return sent + took / 2 - there
