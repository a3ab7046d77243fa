"""How many users a tick may lease: everybody who is due, but not a whole fleet at once, nor anybody
a relay that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import (
    Breaker,
    FleetLoad,
    Phase,
    most_to_lease,
    sampled,
    stepped,
)
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import most_at_once, visit_period
from eagle_logger.users.store import Totals, UserStore

_log = structlog.get_logger("eagle_logger.relay")


async def most_this_second(users: UserStore, clock: Clock, intervals: Mapping[Kind, float]) -> int:
    """Look at how visits went lately, move the breaker on, and say how many users may be leased
    now. Once a second."""
    totals, tally, before, now = await asyncio.gather(
        users.totals(), users.tally(), users.breaker(), users.now()
    )
    fleet = _fleet(totals, now, clock, intervals)
    ordinary = most_at_once(totals.users, fleet.period, fleet.overdue)
    at = clock.real(now)
    breaker = stepped(before, sampled(at, tally), fleet, ordinary)
    await users.set_breaker(breaker)
    if breaker.phase is not before.phase:
        _tell(breaker, before, fleet)
    return most_to_lease(breaker, at, fleet, ordinary)


def _fleet(totals: Totals, now: float, clock: Clock, intervals: Mapping[Kind, float]) -> FleetLoad:
    return FleetLoad(
        users=totals.users - totals.parked,
        failing=totals.failing,
        period=clock.real(visit_period(intervals)),
        overdue=0.0 if totals.oldest_due is None else clock.real(now - totals.oldest_due),
    )


def _tell(breaker: Breaker, before: Breaker, fleet: FleetLoad) -> None:
    match breaker.phase:
        case Phase.OPEN:
            _log.error(
                "the relay is away: most visits fail, so only a few ask on",
                users=fleet.users,
                failing=fleet.failing,
            )
        case Phase.RETURNING:
            _log.info(
                "the relay answers again: more and more are asked",
                seconds=round(breaker.since - before.since, 1),
            )
        case Phase.CLOSED:
            _log.info("the relay is back: everybody is asked in time")
