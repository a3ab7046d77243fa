"""How many users a tick may lease: all who are due, but not a whole fleet at once, and only a few
while the relay is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import (
    Breaker,
    FleetLoad,
    Phase,
    breaker_after,
    most_to_lease,
    relay_sample,
)
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import most_per_tick, visit_period
from eagle_logger.users.store import Fleet, Totals

_log = structlog.get_logger("eagle_logger.relay")


async def most_this_second(fleet: Fleet, clock: Clock, intervals: Mapping[Kind, float]) -> int:
    """How many users may be leased now. Called once a second; moves the circuit breaker on by what
    the counters say of the last visits."""
    totals, tally, before, now = await asyncio.gather(
        fleet.totals(), fleet.tally(), fleet.breaker(), fleet.now()
    )
    load = _fleet_load(totals, now, clock, intervals)
    ordinary = most_per_tick(totals.users, load.period, load.overdue)
    real_now = clock.real(now)
    breaker = breaker_after(before, relay_sample(real_now, tally), load, ordinary)
    await fleet.set_breaker(breaker)
    if breaker.phase is not before.phase:
        _log_new_phase(breaker, before, load)
    return most_to_lease(breaker, real_now, load, ordinary)


def _fleet_load(
    totals: Totals, now: float, clock: Clock, intervals: Mapping[Kind, float]
) -> FleetLoad:
    return FleetLoad(
        users=totals.users - totals.parked,
        failing=totals.failing,
        period=clock.real(visit_period(intervals)),
        overdue=0.0 if totals.oldest_due is None else clock.real(now - totals.oldest_due),
    )


def _log_new_phase(breaker: Breaker, before: Breaker, load: FleetLoad) -> None:
    match breaker.phase:
        case Phase.OPEN:
            _log.error(
                "relay_away",
                users=load.users,
                failing=load.failing,
                detail="most visits fail, so only a few users are asked",
            )
        case Phase.RETURNING:
            _log.info(
                "relay_returning",
                seconds=round(breaker.since - before.since, 1),
                detail="the relay answers again, so more and more users are asked",
            )
        case Phase.CLOSED:
            _log.info("relay_back", detail="every user is asked in time again")
