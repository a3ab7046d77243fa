"""Made-up traces of meters, with the statistics that were captured.

Demand comes about every 8 s; 7 and 9 are common, 16 and 24 where a beat was lost. A gateway shows a
reading 2.4 to 5.9 s (p5 to p95) after the reading's own time, half of them within 3.6 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from eagle_logger.simulator.relay.trace import Trace, TracedReading

BEGINS = 1_800_000_000.0
_MEDIAN_DELAY_S, _LOG_SPREAD, _SHORTEST_DELAY_S, _LONGEST_DELAY_S = 3.6, 0.3, 2.0, 12.0
_STEADY_DELAY_S = 3.6


@dataclass(frozen=True, slots=True)
class MeterHabits:
    """How a made-up meter and its gateway behave."""

    period: float = 8.0
    jitter: bool = True
    """Whether the gateway shows readings sooner and later."""
    slips: bool = True
    """Whether all later readings shift when one comes a second early or late."""
    early_or_late: float = 0.3
    """The share of readings that come a second early or late."""
    lost: float = 0.03
    """The share of beats that are lost; a sixth of these take the next beat along."""
    drift: float = 0.0
    """Seconds that the gateway's clock gains in a second."""
    clock_set: tuple[tuple[float, float], ...] = ()
    """Seconds after which the clock is set, and by how many seconds."""


def made_up_trace(habits: MeterHabits, seed: int, readings: int) -> Trace:
    random = Random(f"trace/{seed}")
    beat = BEGINS + habits.period * random.random()
    shown_last, made = -math.inf, list[TracedReading]()
    while len(made) < readings:
        beat += habits.period * _beats_until_next(habits, random)
        error = _early_or_late(habits, random)
        spoken = beat + error
        if habits.slips:
            beat = spoken
        shows = spoken + _delay(habits, random)
        if shows <= shown_last:
            made.pop()  # the gateway never showed the reading before
        made.append(TracedReading(math.floor(spoken + _clock_error(habits, spoken)), shows))
        shown_last = shows
    return Trace.of(made)


def typical_traces(readings: int = 5000) -> tuple[tuple[str, Trace], ...]:
    """With and without the jitter, from meters that slip and meters that do not; and no rhythm."""
    habits = {
        "jitter, slips": MeterHabits(),
        "jitter": MeterHabits(slips=False),
        "no jitter, slips": MeterHabits(jitter=False),
        "no jitter": MeterHabits(jitter=False, slips=False),
        "every 15 s": MeterHabits(period=15.0),
    }
    made = [
        (name, made_up_trace(habit, seed, readings))
        for seed, (name, habit) in enumerate(habits.items())
    ]
    return (*made, ("random", random_trace(0, readings)))


def random_trace(seed: int, readings: int, mean: float = 8.0) -> Trace:
    """Readings at random times: there is no rhythm to follow."""
    random = Random(f"random/{seed}")
    made, spoken = list[TracedReading](), BEGINS
    for _ in range(readings):
        spoken += random.expovariate(1 / mean)
        made.append(TracedReading(math.floor(spoken), spoken + _STEADY_DELAY_S))
    return Trace.of(made)


def _beats_until_next(habits: MeterHabits, random: Random) -> int:
    if random.random() >= habits.lost:
        return 1
    return 3 if random.random() < 1 / 6 else 2


def _early_or_late(habits: MeterHabits, random: Random) -> float:
    if random.random() >= habits.early_or_late:
        return 0.0
    return random.choice((-1.0, 1.0))


def _delay(habits: MeterHabits, random: Random) -> float:
    if not habits.jitter:
        return _STEADY_DELAY_S
    delay = random.lognormvariate(math.log(_MEDIAN_DELAY_S), _LOG_SPREAD)
    return min(max(delay, _SHORTEST_DELAY_S), _LONGEST_DELAY_S)


def _clock_error(habits: MeterHabits, spoken: float) -> float:
    since = spoken - BEGINS
    return habits.drift * since + sum(by for after, by in habits.clock_set if since >= after)
