"""How a user stands, for people who look: what is wrong with it, if anything is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from eagle_logger.core.readings import Kind
from eagle_logger.core.users import User
from eagle_logger.core.visits import cadence, visit_period

OVERDUE_AFTER = 2.0
"""Real seconds. Users are leased once a second, so one who waits that long is on time."""

SILENT_AFTER = 600.0
"""Seconds without a new reading. Gateways have one every few seconds."""
PERIODS_BEFORE_SILENT = 3
"""For users who are visited seldom: so many of their own periods."""

_LONGEST_REASON = 40


class Standing(StrEnum):
    PARKED = "parked"
    UNREADABLE = "unreadable"
    """Its record, its state or a part of it cannot be read."""
    FAILING = "failing"
    OVERDUE = "overdue"
    NEVER_READ = "never_read"
    """It answers, and no reading ever came of it."""
    SILENT = "silent"
    """It answers, and has said nothing new for long."""
    LEASED = "leased"
    NEW = "new"
    """Not asked yet: its first turn is about to come."""
    OK = "ok"

    @property
    def is_well(self) -> bool:
        return self in {Standing.LEASED, Standing.NEW, Standing.OK}


def silent_after(intervals: Mapping[Kind, float], fleet: Mapping[Kind, float], least: float) -> float:
    """Seconds without a new reading after which a user with these intervals of its own is silent."""
    period = visit_period(cadence(User("", intervals), fleet) if intervals else fleet)
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
    """`silence`: seconds since something new was logged, None if nothing ever was; `patience`: as
    `silent_after` has it."""
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
    """What users who stand alike are counted under: `failing: timed_out`, `silent`."""
    if standing in {Standing.PARKED, Standing.FAILING} and why:
        return f"{standing}: {why.partition(':')[0][:_LONGEST_REASON]}"
    return str(standing)
