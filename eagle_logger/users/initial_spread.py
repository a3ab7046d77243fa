"""When users who were just added fall due first."""

from __future__ import annotations

from eagle_logger.core.schedule import stable_fraction

ADDED_PER_SECOND = 1000
LONGEST_SPREAD = 6.0
"""Seconds: what is added in one batch has all fallen due by then; afterwards everybody follows its
own grid."""


def first_offset(cloud_id: str, batch: int) -> float:
    """Seconds from now until a user added in a batch of that many falls due: at once if alone, else
    spread by its name."""
    return stable_fraction(cloud_id, "visit") * min((batch - 1) / ADDED_PER_SECOND, LONGEST_SPREAD)
