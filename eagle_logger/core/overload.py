"""Too many users for the workers: how many may be leased, and how seldom each is visited.

A leased user waits in a message until a worker claims it. If that takes longer than the lease, the
user is leased again and a second message carries it; the workers then take messages that hold
nothing to claim. So no more users are leased than the workers visit within a share of the lease.
All others stay due, where the longest due one comes first. A user is therefore visited as seldom
as every other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from eagle_logger.core.schedule import FEWEST_PER_TICK
from eagle_logger.core.user_standing import OVERDUE_AFTER_S

LONGEST_WAIT_IN_LEASES = 0.15
"""The time from lease to claim, as a share of the lease, that leasing aims at: 3 of 20 seconds. The
rest of the lease is left for workers that have become slower since their pace was measured."""
COUNTED_IN_LEASES = 0.25
"""A lease that was neither given nor renewed within this share of it is not counted among the users
who wait: its message is lost, waits for a worker that has gone, or its gateway hangs."""
PACES_MEASURED_OVER_S = (3.0, 10.0)
"""Real seconds. The faster one counts: the first shows a pace that grows, and the second outlasts a
standstill of a few seconds."""
TOO_MUCH_AFTER_S = 30.0
"""Real seconds in which users are overdue at every moment. It takes the fleet less to come back
after a stop."""
TOO_MUCH_FROM = 1.05
"""Visits are this many times as far apart as they should be. A smaller excess is a busy moment."""


class VisitSample(NamedTuple):
    """The system's counters at a moment, and how late the longest due user is. Real seconds."""

    at: float
    visits: int
    missed_turns: int
    visit_seconds: float
    """Seconds from claim to report, over all visits."""
    overdue: float


def with_sample(samples: Sequence[VisitSample], now: VisitSample) -> tuple[VisitSample, ...]:
    """The samples that later decisions need, oldest first. They begin again if the clock or the
    counters went back."""
    if samples and (now.at < samples[-1].at or now.visits < samples[-1].visits):
        return (now,)
    kept = [*samples, now]
    while len(kept) > 1 and kept[1].at <= now.at - TOO_MUCH_AFTER_S:
        del kept[0]
    return tuple(kept)


def most_leased(samples: Sequence[VisitSample], lease: float, ordinary: float) -> int:
    """How many users may be leased at a time: as many as the workers visit within the longest wait,
    and those whose visit is under way. `lease`: real seconds. `ordinary`: the users of an ordinary
    second; that many may be leased while no visit shows how fast the workers are."""
    spans = [_span(samples, seconds) for seconds in PACES_MEASURED_OVER_S]
    pace = max(span.visits / span.seconds if span.seconds else 0.0 for span in spans)
    if not pace:
        return max(FEWEST_PER_TICK, math.ceil(ordinary))
    visit = max(span.visit_seconds / span.visits for span in spans if span.visits)
    seconds = LONGEST_WAIT_IN_LEASES * lease + min(visit, COUNTED_IN_LEASES * lease)
    return max(FEWEST_PER_TICK, math.ceil(pace * seconds))


def visited_every(samples: Sequence[VisitSample], period: float) -> float:
    """Seconds between two visits to a user whose turns are `period` seconds apart: `period`, unless
    there is too much."""
    span = _span(samples, TOO_MUCH_AFTER_S)
    if span.seconds < TOO_MUCH_AFTER_S or not span.visits:
        return period
    if any(sample.overdue <= OVERDUE_AFTER_S for sample in samples):
        return period
    stretch = 1 + span.missed_turns / span.visits
    return period * stretch if stretch >= TOO_MUCH_FROM else period


class _Span(NamedTuple):
    seconds: float
    visits: int
    missed_turns: int
    visit_seconds: float


def _span(samples: Sequence[VisitSample], seconds: float) -> _Span:
    """What grew within these last seconds, or since the first sample."""
    if not samples:
        return _Span(0.0, 0, 0, 0.0)
    now = samples[-1]
    earlier = (sample for sample in reversed(samples) if sample.at <= now.at - seconds)
    first = next(earlier, samples[0])
    return _Span(
        now.at - first.at,
        now.visits - first.visits,
        now.missed_turns - first.missed_turns,
        now.visit_seconds - first.visit_seconds,
    )
