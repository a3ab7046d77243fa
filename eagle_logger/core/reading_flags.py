"""What an analyst should know about a reading, decided when it arrives. No flag changes, moves or
drops a reading."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Flag, Reading

FUTURE_AFTER_S = 300.0
"""How far a reading's time may be ahead of its arrival. A gateway's clock may be a little fast; one
that shows local time is off by whole hours."""

LONG_PAST_AFTER_S = 86_400.0
"""How far a reading's time may be behind its arrival. After an outage, a backlog of hours is
normal; an analyst should look twice at what is a day old."""


def flags_for(reading: Reading, arrived: float, previous: Mapping[str, object]) -> frozenset[Flag]:
    """The flags of a reading that arrived at `arrived` (Unix seconds), besides those that the
    decoder gave it.

    `previous` are the values of the reading before it in its stream. They matter only for a
    summation, and are empty if they are not known.
    """
    flags = set()
    if reading.time > arrived + FUTURE_AFTER_S:
        flags.add(Flag.FUTURE)
    elif reading.time < arrived - LONG_PAST_AFTER_S:
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
