"""How well a home is asked: traces of its meter are replayed against the functions that production
uses, with the dispatcher's tick and a relay's latency."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from beat_schedule import beat_schedule
from eagle_logger.core.in_step import Turns
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm, after_reply, after_request
from eagle_logger.core.schedule import REQUEST_GAP, Grid, next_due
from eagle_logger.simulator.relay.trace import Trace
from eagle_logger.users.redis.rhythm_encoding import rhythm_as_list, rhythm_from

FIXED_PERIODS_S = (4.0, 6.0, 8.0, 15.0)
PLAIN_PERIOD_S = 6.0
"""The interval of a home in step; it falls back to this."""
TICK_S: float = beat_schedule["dispatch"]["schedule"]
_TICK_DRIFTS_S = 0.002
"""Beat's next tick comes up to so much later than a tick after the last."""
_CLAIMED_WITHIN_S = (0.02, 0.08)
"""From the tick to the request."""
_REPORTED_WITHIN_S = (0.02, 0.25)
"""From the reply to the report: replies are written and synced together."""
HEADINGS = (
    *("trace", "asked", "caught", "requests/reading", "age mean, s", "age p95, s"),
    *("closest requests, s", "requests ÷ plain", "in step"),
)


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of asking through a trace. Ages are seconds from the moment at which the gateway
    began to show a reading to its arrival."""

    readings: int
    ages: Sequence[float]
    """Of the readings that were caught, in ascending order."""
    moments: Sequence[float]
    """When the gateway was asked."""
    plain: float
    in_step: int
    """Requests after which the user followed its meter."""

    @property
    def caught(self) -> float:
        return len(self.ages) / self.readings

    @property
    def requests_per_reading(self) -> float:
        return len(self.moments) / max(1, len(self.ages))

    @property
    def mean_age(self) -> float:
        return sum(self.ages) / max(1, len(self.ages))

    @property
    def p95_age(self) -> float:
        return self.ages[int(0.95 * len(self.ages))] if self.ages else 0.0

    @property
    def closest(self) -> float:
        """The shortest time between two requests."""
        pairs = zip(self.moments, self.moments[1:], strict=False)
        return min((later - earlier for earlier, later in pairs), default=math.inf)

    @property
    def beside_plain(self) -> float:
        """The requests, divided by those that the plain grid makes in the same time."""
        return len(self.moments) * self.plain / (self.moments[-1] - self.moments[0] + self.plain)

    def row(self, trace: str, asked: str) -> list[object]:
        return [
            trace,
            asked,
            f"{self.caught:.2%}",
            round(self.requests_per_reading, 3),
            round(self.mean_age, 2),
            round(self.p95_age, 2),
            round(self.closest, 2),
            round(self.beside_plain, 3),
            f"{self.in_step / len(self.moments):.0%}",
        ]


def poll(
    trace: Trace,
    period: float,
    *,
    in_step: bool,
    seed: int = 0,
    latency: float = 0.2,
    spread: float = 0.05,
) -> Polled:
    """Ask through a whole trace: every `period` seconds, or in step with its meter."""
    random = Random(f"polling/{seed}")
    turns = Turns(Grid(period, random.random() * period), may_follow=in_step, tick=TICK_S)
    shows = [reading.shows for reading in trace.readings]
    due, tick = next_due(shows[0], turns.plain), shows[0] + random.random() * TICK_S
    rhythm, ages, moments, followed = NO_RHYTHM, dict[int, float](), list[float](), 0
    while due < shows[-1] + period:
        missed_ticks = max(0, math.ceil((due - tick) / TICK_S))
        tick += missed_ticks * (TICK_S + random.uniform(0, _TICK_DRIFTS_S))
        earliest = moments[-1] + REQUEST_GAP if moments else -math.inf
        asked = max(tick + random.uniform(*_CLAIMED_WITHIN_S), earliest)
        took = max(0.0, latency + random.uniform(-spread, spread))
        moments.append(asked)
        shown = bisect_right(shows, asked + took / 2) - 1
        if shown >= 0:
            ages.setdefault(shown, asked + took - shows[shown])
        newest = int(trace.readings[shown].made) if shown >= 0 else None
        rhythm = after_request(after_reply(rhythm, newest, asked, took), asked, period)
        rhythm = _stored(rhythm)
        reported = asked + took + random.uniform(*_REPORTED_WITHIN_S)
        grid, wait = turns.after(rhythm, reported)
        followed += grid is not turns.plain
        due = next_due(reported + wait, grid)
    return Polled(len(shows), sorted(ages.values()), moments, period, followed)


def _stored(rhythm: Rhythm) -> Rhythm:
    """The rhythm as the next visit reads it from the user's state."""
    return rhythm if rhythm == NO_RHYTHM else rhythm_from(rhythm_as_list(rhythm))


def polling(
    traces: Sequence[tuple[str, Trace]], *, latency: float, spread: float
) -> Iterator[list[object]]:
    """A row for each trace and each way to ask through it."""
    for name, trace in traces:
        polled = poll(trace, PLAIN_PERIOD_S, in_step=True, latency=latency, spread=spread)
        yield polled.row(name, "in step")
        for period in FIXED_PERIODS_S:
            polled = poll(trace, period, in_step=False, latency=latency, spread=spread)
            yield polled.row(name, f"every {period:g} s")
