"""How many users a tick may lease: all who are due, but not a whole fleet at once, no more than the
workers claim in time, and only a few while the relay is away."""

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
from eagle_logger.core.overload import (
    VisitSample,
    most_leased,
    most_to_keep_load_even,
    visited_every,
    with_sample,
)
from eagle_logger.core.schedule import most_per_tick, visit_period
from eagle_logger.users.store import Fleet, Totals

_log = structlog.get_logger("eagle_logger.relay")
_overload_log = structlog.get_logger("eagle_logger.overload")

TOO_MUCH_DETAIL = (
    "there are more users than the workers can visit in time, so each waits as long as every "
    "other: docs/explanation/overload.md says what to do"
)


class Admission:
    """For one dispatcher. `lease`: real seconds."""

    def __init__(
        self, fleet: Fleet, clock: Clock, intervals: Mapping[Kind, float], *, lease: float
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._period = visit_period(intervals)
        self._lease = lease
        self._samples: tuple[VisitSample, ...] = ()
        self._visited_every = self._period

    async def most_this_second(self) -> int:
        """How many users may be leased now. Called once a second; moves the circuit breaker on by
        what the counters say of the last visits."""
        fleet, clock = self._fleet, self._clock
        totals, tally, before, now = await asyncio.gather(
            fleet.totals(), fleet.tally(), fleet.breaker(), fleet.now()
        )
        load, real_now = self._load(totals, now), clock.real(now)
        self._samples = with_sample(self._samples, _visit_sample(real_now, tally))
        ordinary = most_per_tick(totals.users, load.period, load.overdue)
        breaker = breaker_after(before, relay_sample(real_now, tally), load, ordinary)
        await fleet.set_breaker(breaker)
        if breaker.phase is not before.phase:
            _log_new_phase(breaker, before, load)
        if breaker.phase is not Phase.CLOSED:
            # Users that wait for the relay are late, but not too many.
            self._samples = self._samples[-1:]
        self._note_pace()
        most = most_leased(self._samples, self._lease, load.users / load.period)
        return min(
            most_to_lease(breaker, real_now, load, ordinary),
            most_to_keep_load_even(self._samples, load.overdue, ordinary),
            max(0, most - totals.newly_leased),
        )

    def pace(self) -> dict[str, float]:
        """For the dispatcher's note of progress: how many seconds lie between two visits to a user,
        and how many should (`core.overload.visited_every`). Seconds of the clock."""
        return {"visited_every": round(self._visited_every, 1), "instead_of": self._period}

    def _load(self, totals: Totals, now: float) -> FleetLoad:
        overdue = 0.0 if totals.oldest_due is None else self._clock.real(now - totals.oldest_due)
        return FleetLoad(
            users=totals.users - totals.parked,
            failing=totals.failing,
            period=self._clock.real(self._period),
            overdue=overdue,
        )

    def _note_pace(self) -> None:
        every = visited_every(self._samples, self._period)
        was_too_much, is_too_much = self._visited_every > self._period, every > self._period
        self._visited_every = every
        if is_too_much and not was_too_much:
            _overload_log.warning("too_much", **self.pace(), detail=TOO_MUCH_DETAIL)
        elif was_too_much and not is_too_much:
            detail = "the workers keep up with the users again"
            _overload_log.info("too_much_no_more", **self.pace(), detail=detail)


def _visit_sample(real_now: float, tally: Mapping[str, int]) -> VisitSample:
    return VisitSample(
        real_now,
        visits=tally.get("fetches", 0),
        missed_turns=tally.get("missed_turns", 0),
        visit_seconds=tally.get("visit_milliseconds", 0) / 1000,
        late_seconds=tally.get("lateness_milliseconds", 0) / 1000,
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
