"""The circuit breaker for the relay as a whole: whether most users fail at once, and how many may
be visited meanwhile.

A user that fails alone is left alone for longer and longer
(`core.schedule.pause_after_failures`). But when nearly every visit fails, and most users are among
those that failed, the fault is the relay's, or lies on the way to it. Each user's own back-off
would then be wrong twice: at first thousands of users would still be asked in vain, and for minutes
after the relay is back they would not be asked at all. So the breaker opens. While it is open, a
few users a second are visited, and failures do not count against them. When these few are answered,
the others follow, twice as many every second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from eagle_logger.core.schedule import LONG_OVERDUE_S

OPENS_AT_FAILED_SHARE = 0.9
"""The share of recent visits that must fail before the breaker opens. A relay that answers one
visit in five is still worth asking for every user."""
RETURNS_AT_FAILED_SHARE = 0.5
"""The share of recent visits that may fail when the breaker begins to close."""
FEWEST_FAILING_USERS = 3
"""One failing user, or two, say nothing about the relay."""
PROBED_SHARE = 0.01
"""While the breaker is open, this share of an ordinary second's visits is made; at least one
visit."""

OWN_FAULTS = frozenset(
    {"no_key", "record_unreadable", "too_much", "only_problems", "internal_error", "poison"}
)
"""Reasons of failures that say nothing about the relay: it was not asked, or it answered."""


class Phase(StrEnum):
    CLOSED = "closed"
    """Every user that is due is visited."""
    OPEN = "open"
    """The relay is away: a few users a second are visited."""
    RETURNING = "returning"
    """The relay answered those few: twice as many users are visited every second."""


class Sample(NamedTuple):
    """The system's counters at a moment (real seconds): visits to users, and how many failed."""

    at: float
    visits: int
    failed: int


@dataclass(frozen=True, slots=True)
class Breaker:
    phase: Phase = Phase.CLOSED
    since: float = 0.0
    samples: tuple[Sample, ...] = ()
    """The samples that the next decision looks at, oldest first."""


@dataclass(frozen=True, slots=True)
class FleetLoad:
    users: int
    """Users that are not parked."""
    failing: int
    """Those of them whose last visit failed."""
    period: float
    """Real seconds from a user's turn to its next."""
    overdue: float = 0.0
    """Real seconds since the longest overdue user fell due."""


class _Window(NamedTuple):
    """How far back a decision looks: this many seconds, and further until it sees enough visits."""

    seconds: float
    visits: int


_WINDOWS = {
    Phase.CLOSED: _Window(10.0, 20),
    Phase.OPEN: _Window(3.0, 3),
    Phase.RETURNING: _Window(3.0, 10),
}


def _window(phase: Phase, fleet: FleetLoad) -> _Window:
    """No window is longer than a turn. Otherwise users of a short period would fail several times,
    and back off, before the breaker opens."""
    window = _WINDOWS[phase]
    return window._replace(seconds=min(window.seconds, fleet.period))


def relay_sample(at: float, tally: Mapping[str, int]) -> Sample:
    """The visits and failures in the system's counters that say something about the relay."""
    own = sum(tally.get(f"failed_{reason}", 0) for reason in OWN_FAULTS)
    return Sample(at, tally.get("fetches", 0) - own, tally.get("failed_fetches", 0) - own)


def breaker_after(breaker: Breaker, now: Sample, fleet: FleetLoad, ordinary: int) -> Breaker:
    """The breaker a second later. `ordinary`: the users that this second would lease without it."""
    if breaker.samples and now.at < breaker.samples[-1].at:  # the clock was set back
        breaker = Breaker(breaker.phase, now.at)
    window = _window(breaker.phase, fleet)
    samples = _recent((*breaker.samples, now), window)
    phase = _next_phase(breaker, samples, window, fleet, ordinary)
    if phase is breaker.phase:
        return Breaker(phase, breaker.since, samples)
    return Breaker(phase, now.at, (now,))


def most_to_lease(breaker: Breaker, now: float, fleet: FleetLoad, ordinary: int) -> int:
    """How many users this second may lease. `ordinary`: those that it would lease without a
    breaker."""
    if breaker.phase is Phase.CLOSED:
        return ordinary
    probes = max(1, math.ceil(PROBED_SHARE * fleet.users / fleet.period))
    if breaker.phase is Phase.OPEN:
        return min(probes, ordinary)
    doublings = min(now - breaker.since, 32.0)  # one a second; more would overflow
    return min(math.ceil(probes * math.pow(2.0, doublings)), ordinary)


def _next_phase(
    breaker: Breaker, samples: Sequence[Sample], window: _Window, fleet: FleetLoad, ordinary: int
) -> Phase:
    first, last = samples[0], samples[-1]
    visits, failed = last.visits - first.visits, last.failed - first.failed
    is_known = visits >= window.visits
    nearly_all_fail = failed >= OPENS_AT_FAILED_SHARE * visits
    match breaker.phase:
        case Phase.CLOSED:
            most_users_fail = fleet.failing >= max(FEWEST_FAILING_USERS, fleet.users / 2)
            opens = is_known and nearly_all_fail and most_users_fail
            return Phase.OPEN if opens else Phase.CLOSED
        case Phase.OPEN:
            returns = is_known and failed <= RETURNS_AT_FAILED_SHARE * visits
            return Phase.RETURNING if returns else Phase.OPEN
        case Phase.RETURNING:
            if is_known and nearly_all_fail:
                return Phase.OPEN
            leases_all = most_to_lease(breaker, last.at, fleet, ordinary) >= ordinary
            closes = leases_all and fleet.overdue <= LONG_OVERDUE_S
            return Phase.CLOSED if closes else Phase.RETURNING


def _recent(samples: Sequence[Sample], window: _Window) -> tuple[Sample, ...]:
    """The shortest tail of the samples that fills the window."""
    *earlier, now = samples
    if earlier and (earlier[-1].visits > now.visits or earlier[-1].failed > now.failed):
        return (now,)  # the counters went back: Redis was emptied
    if len(earlier) > 1 and earlier[-2].visits == now.visits:
        earlier.pop()  # without visits, one sample says as much as two
    kept = [*earlier, now]
    while (
        len(kept) > 1
        and now.at - kept[1].at >= window.seconds
        and now.visits - kept[1].visits >= window.visits
    ):
        del kept[0]
    return tuple(kept)
