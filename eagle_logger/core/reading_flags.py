"""What an analyst should know about a reading, worked out when it arrives. No flag changes, moves
or drops anything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Flag, Reading

AHEAD = 300.0
"""Seconds. A gateway's clock may be a little fast; one that shows local time is off by whole hours.
"""

BEHIND = 86_400.0
"""Seconds. After an outage backlogs of hours are normal; what is a day old is worth a second look.
"""


def flags_for(reading: Reading, arrived: float, previous: Mapping[str, object]) -> frozenset[Flag]:
    """The flags of a reading that arrived at `arrived` (Unix seconds), beside those it was decoded
    with.

    `previous` are the values of the same stream at an earlier time of its own; empty if nothing is
    known, or for any other kind than a summation.
    """
    flags = set()
    if reading.time > arrived + AHEAD:
        flags.add(Flag.FUTURE)
    elif reading.time < arrived - BEHIND:
        flags.add(Flag.LONG_PAST)
    if reading.kind is Kind.SUMMATION and _went_back(reading, previous):
        flags.add(Flag.BACKWARDS)
    return frozenset(flags)


def _went_back(reading: Reading, previous: Mapping[str, object]) -> bool:
    return any(
        _is_less(reading.values.get(counter), previous.get(counter))
        for counter in ("delivered", "received")
    )


def _is_less(now: object, before: object) -> bool:
    return isinstance(now, Decimal) and isinstance(before, Decimal) and now < before
