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

LONGEST_WAIT_IN_LEASES = 0.15
"""The time from lease to claim, as a share of the lease, that leasing aims at: 3 of 20 seconds. The
rest of the lease is left for workers that have become slower since their pace was measured."""
COUNTED_IN_LEASES = 0.25
"""A lease that was neither given nor renewed within this share of it is not counted among the users
who wait: its message is lost, waits for a worker that has gone, or its gateway hangs."""
PACES_MEASURED_OVER_S = (3.0, 10.0)
"""Real seconds. The faster one counts: the first shows a pace that grows, and the second outlasts a
standstill of a few seconds."""
MEASURED_OVER_S = 60.0
"""Real seconds over which the time between two visits is measured."""
CAUGHT_UP_AFTER_S = 30.0
"""Real seconds that the fleet has to come back after a standstill, before it is measured."""
LOAD_BESIDE_MEAN = 1.5
"""A second makes at most this many times the visits of the mean second."""
EVEN_WHILE_OVERDUE_S = 6.0
"""Real seconds. Users of meters that all speak every 8 s at one moment are served within 5.3 s."""
MEAN_MEASURED_OVER_S = 32.0
"""Real seconds. The mean must not follow the peaks of a fleet that speaks at once."""
_SHORTEST_MEASURED_S = 0.5
"""Real seconds. The first two ticks may follow each other at once."""
TOO_MUCH_FROM = 1.1
"""Visits are this many times as far apart as they should be. A smaller excess is a busy moment."""
_LATENESS_OVER_S = 10.0
"""Real seconds at the beginning and at the end of the measured time."""
_STOOD_STILL_AFTER_S = 10.0
"""Real seconds without a visit. Turns that passed then do not mean that there are too many users.
"""

_OVERTAKEN_BY_S = 5.0
"""Real seconds. A sample that is older by less was taken by a tick that ran beside another."""


class VisitSample(NamedTuple):
    """The system's counters at a moment. Real seconds."""

    at: float
    visits: int
    missed_turns: int
    visit_seconds: float
    """Seconds from claim to report, over all visits."""
    late_seconds: float
    """Seconds from due to the first request, over all visits."""

    def since(self, first: VisitSample) -> VisitSample:
        """What grew since then."""
        return VisitSample(
            self.at - first.at,
            self.visits - first.visits,
            self.missed_turns - first.missed_turns,
            self.visit_seconds - first.visit_seconds,
            self.late_seconds - first.late_seconds,
        )


def with_sample(samples: Sequence[VisitSample], now: VisitSample) -> tuple[VisitSample, ...]:
    """The samples that later decisions need, oldest first. They begin again if the clock or the
    counters went back."""
    if samples and samples[-1].at - _OVERTAKEN_BY_S < now.at <= samples[-1].at:
        return tuple(samples)  # another tick has overtaken this one
    if samples and (now.at < samples[-1].at or now.visits < samples[-1].visits):
        return (now,)
    kept = [*samples, now]
    while len(kept) > 1 and kept[1].at <= now.at - MEASURED_OVER_S - CAUGHT_UP_AFTER_S:
        del kept[0]
    return tuple(kept)


def most_to_keep_load_even(samples: Sequence[VisitSample], overdue: float, ordinary: int) -> int:
    """How many of the `ordinary` users a second may lease, so that it makes at most half as many
    visits again as the mean second. Many meters may speak at the same moment, and their users then
    fall due together. Those that are left over wait a few seconds, which their readings allow.

    `overdue`: real seconds by which the longest due user is late. If that is long, there is more
    to do than there was, and all `ordinary` users may be leased.
    """
    if not samples or overdue > EVEN_WHILE_OVERDUE_S:
        return ordinary
    passed = samples[-1].since(_sample_before(samples, MEAN_MEASURED_OVER_S))
    if passed.at < MEAN_MEASURED_OVER_S:
        return ordinary
    mean = passed.visits / passed.at
    return min(ordinary, max(FEWEST_PER_TICK, math.ceil(LOAD_BESIDE_MEAN * mean)))


def most_leased(samples: Sequence[VisitSample], lease: float, ordinary: float) -> int:
    """How many users may be leased at a time: as many as the workers visit within the longest wait,
    and those whose visit is under way. `lease`: real seconds. `ordinary`: the users of an ordinary
    second; that many may be leased while no visit shows how fast the workers are."""
    spans = [
        span
        for seconds in PACES_MEASURED_OVER_S
        if samples
        and (span := samples[-1].since(_sample_before(samples, seconds))).visits
        and span.at >= _SHORTEST_MEASURED_S
    ]
    if not spans:
        return max(FEWEST_PER_TICK, math.ceil(ordinary))
    pace = max(span.visits / span.at for span in spans)
    visit = max(span.visit_seconds / span.visits for span in spans)
    seconds = LONGEST_WAIT_IN_LEASES * lease + min(visit, COUNTED_IN_LEASES * lease)
    return max(FEWEST_PER_TICK, math.ceil(pace * seconds))


def visited_every(samples: Sequence[VisitSample], period: float) -> float:
    """Seconds between two visits to a user whose turns are `period` seconds apart: `period`, unless
    there is too much.

    Between two visits to a user lie its period, the turns that passed without a visit, and as many
    seconds as it is later than last time.
    """
    if not samples or _has_gap(samples):
        return period
    first, last = _sample_before(samples, MEASURED_OVER_S), samples[-1]
    if last.at - samples[0].at < MEASURED_OVER_S + CAUGHT_UP_AFTER_S:
        return period
    whole = last.since(first)
    begin = _sample_before(samples, MEASURED_OVER_S - _LATENESS_OVER_S).since(first)
    end = last.since(_sample_before(samples, _LATENESS_OVER_S))
    later = end.late_seconds / end.visits - begin.late_seconds / begin.visits
    later_per_second = min(later / (whole.at - _LATENESS_OVER_S), 0.9)
    stretch = (1 + whole.missed_turns / whole.visits) / (1 - later_per_second)
    return period * stretch if stretch >= TOO_MUCH_FROM else period


def _has_gap(samples: Sequence[VisitSample]) -> bool:
    """Whether the system, or the dispatcher, stood still."""
    last_visit = samples[0]
    for sample in samples:
        if sample.at - last_visit.at >= _STOOD_STILL_AFTER_S:
            return True
        if sample.visits > last_visit.visits:
            last_visit = sample
    return False


def _sample_before(samples: Sequence[VisitSample], seconds: float) -> VisitSample:
    """The latest sample that was taken so many seconds before the last one, else the first."""
    latest = samples[-1].at - seconds
    return next((sample for sample in reversed(samples) if sample.at <= latest), samples[0])
