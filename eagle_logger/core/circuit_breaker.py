"""The circuit breaker for the relay as a whole: whether most users fail at once, and how many may
be asked meanwhile.

One home's failures are its own: it is left alone for longer and longer
(`core.schedule.pause_after_failures`). When nearly every visit fails, and not a few users have failed but
most, it is the relay, or the way to it. Then each user's own back-off would be wrong twice:
thousands of last tries first, and minutes of silence after the relay is back. So everybody waits, a
few at a time ask on, what fails meanwhile is not held against its user, and when the few are
answered the others follow, twice as many every second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from eagle_logger.core.schedule import LONG_OVERDUE_S

OPENS_AT = 0.9
"""Of the visits lately: a relay that gives one reading in five is still worth asking for all of
them."""
RETURNS_AT = 0.5
FEWEST_USERS = 3
"""One user, or two, can never tell anything about the relay."""
PROBES = 0.01
"""Of an ordinary second's visits, but one at least: who asks while the breaker is open."""

OWN_FAULTS = frozenset(
    {"no_key", "record_unreadable", "too_much", "only_problems", "internal_error", "poison"}
)
"""Reasons of failures that say nothing about the relay: it was not asked, or answered."""


class Phase(StrEnum):
    CLOSED = "closed"
    """All is as it should be: everybody who is due is asked."""
    OPEN = "open"
    RETURNING = "returning"
    """The few who asked were answered: more and more are."""


class Sample(NamedTuple):
    """The system's counters at a moment (seconds)."""

    at: float
    visits: int
    failed: int


@dataclass(frozen=True, slots=True)
class Breaker:
    phase: Phase = Phase.CLOSED
    since: float = 0.0
    samples: tuple[Sample, ...] = ()
    """What the next decision rests on, oldest first."""


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """Users who are not parked; how many of them failed when they were last visited; how long one
    waits for its next turn, and how late the latest is (both in real seconds)."""

    users: int
    failing: int
    period: float
    overdue: float = 0.0


class _Window(NamedTuple):
    """How far back a decision looks: so many seconds, and further until there are so many visits."""

    seconds: float
    visits: int


_LATELY = {
    Phase.CLOSED: _Window(10.0, 20),
    Phase.OPEN: _Window(3.0, 3),
    Phase.RETURNING: _Window(3.0, 10),
}


def _window(phase: Phase, fleet: FleetLoad) -> _Window:
    """Users who come round faster are also parked faster, so the breaker must open within their
    first turn."""
    window = _LATELY[phase]
    return window._replace(seconds=min(window.seconds, fleet.period))


def sampled(at: float, tally: Mapping[str, int]) -> Sample:
    """What the system's counters say about the relay."""
    own = sum(tally.get(f"failed_{reason}", 0) for reason in OWN_FAULTS)
    return Sample(at, tally.get("fetches", 0) - own, tally.get("failed_fetches", 0) - own)


def stepped(breaker: Breaker, now: Sample, fleet: FleetLoad, ordinary: int) -> Breaker:
    """The breaker a second later. `ordinary` is how many users this second would lease without one."""
    if breaker.samples and now.at < breaker.samples[-1].at:  # the clock was set back
        breaker = Breaker(breaker.phase, now.at)
    window = _window(breaker.phase, fleet)
    samples = _lately((*breaker.samples, now), window)
    phase = _next(breaker, samples, window, fleet, ordinary)
    if phase is breaker.phase:
        return Breaker(phase, breaker.since, samples)
    return Breaker(phase, now.at, (now,))


def most_to_lease(breaker: Breaker, now: float, fleet: FleetLoad, ordinary: int) -> int:
    """How many users this second may lease: all of the ordinary ones while the breaker is closed."""
    if breaker.phase is Phase.CLOSED:
        return ordinary
    probes = max(1, math.ceil(PROBES * fleet.users / fleet.period))
    if breaker.phase is Phase.OPEN:
        return min(probes, ordinary)
    return min(math.ceil(probes * math.pow(2.0, min(now - breaker.since, 32.0))), ordinary)


def _next(
    breaker: Breaker, samples: Sequence[Sample], window: _Window, fleet: FleetLoad, ordinary: int
) -> Phase:
    visits, failed = (
        samples[-1].visits - samples[0].visits,
        samples[-1].failed - samples[0].failed,
    )
    enough, away = visits >= window.visits, failed >= OPENS_AT * visits
    match breaker.phase:
        case Phase.CLOSED:
            most = fleet.failing >= max(FEWEST_USERS, fleet.users / 2)
            return Phase.OPEN if enough and away and most else Phase.CLOSED
        case Phase.OPEN:
            return Phase.RETURNING if enough and failed <= RETURNS_AT * visits else Phase.OPEN
        case Phase.RETURNING:
            if enough and away:
                return Phase.OPEN
            whole = most_to_lease(breaker, samples[-1].at, fleet, ordinary) >= ordinary
            return Phase.CLOSED if whole and fleet.overdue <= LONG_OVERDUE_S else Phase.RETURNING


def _lately(samples: Sequence[Sample], window: _Window) -> tuple[Sample, ...]:
    """The shortest tail that reaches back far enough. Counters that went back begin anew: Redis was
    emptied."""
    *earlier, now = samples
    if earlier and (earlier[-1].visits > now.visits or earlier[-1].failed > now.failed):
        return (now,)
    if len(earlier) > 1 and earlier[-2].visits == now.visits:
        earlier.pop()  # nothing has happened for a while
    kept = [*earlier, now]
    while (
        len(kept) > 1
        and now.at - kept[1].at >= window.seconds
        and now.visits - kept[1].visits >= window.visits
    ):
        del kept[0]
    return tuple(kept)
