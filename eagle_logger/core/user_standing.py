"""What is wrong with a user, if anything, in one word. For `status` and `doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import intervals_of, visit_period
from eagle_logger.core.users import User

OVERDUE_AFTER_S = 2.0
"""Real seconds. Users are leased once a second, so that a shorter wait is usual."""

SILENT_AFTER_S = 600.0
"""Without a new reading. Gateways have one every few seconds."""
PERIODS_BEFORE_SILENT = 3
"""A user that is visited seldom is silent after this many of its own periods."""

_LONGEST_REASON = 40
"""Characters."""


class Standing(StrEnum):
    PARKED = "parked"
    UNREADABLE = "unreadable"
    """Its record, its state or a part of it cannot be read."""
    FAILING = "failing"
    OVERDUE = "overdue"
    NEVER_READ = "never_read"
    """It answers, but no reading was ever logged."""
    SILENT = "silent"
    """It answers, but it has had no new reading for a long time."""
    LEASED = "leased"
    NEW = "new"
    """Its first visit has not begun."""
    OK = "ok"

    @property
    def is_well(self) -> bool:
        return self in WELL


WELL = frozenset({Standing.LEASED, Standing.NEW, Standing.OK})


def silent_after(
    intervals: Mapping[Kind, float], fleet: Mapping[Kind, float], least: float
) -> float:
    """Seconds without a new reading after which a user with these intervals of its own is silent.
    `least` is the shortest such time."""
    period = visit_period(intervals_of(User("", intervals), fleet) if intervals else fleet)
    return max(least, PERIODS_BEFORE_SILENT * period)


def standing(
    *,
    parked: bool,
    failing: bool,
    unreadable: bool,
    overdue: bool,
    leased: bool,
    visited: bool,
    silence: float | None,
    patience: float,
) -> Standing:
    """`silence`: seconds since a new reading was last logged, None if none ever was. `patience`:
    the result of `silent_after` for this user."""
    if parked:
        return Standing.PARKED
    if unreadable:
        return Standing.UNREADABLE
    if failing:
        return Standing.FAILING
    if overdue:
        return Standing.OVERDUE
    if silence is None:
        return Standing.NEVER_READ if visited else Standing.LEASED if leased else Standing.NEW
    if silence > patience:
        return Standing.SILENT
    return Standing.LEASED if leased else Standing.OK


def reason(standing: Standing, why: str | None) -> str:
    """The reason under which users are counted together, such as `failing: timed_out` or
    `silent`."""
    if standing in {Standing.PARKED, Standing.FAILING} and why:
        return f"{standing}: {why.partition(':')[0][:_LONGEST_REASON]}"
    return str(standing)
