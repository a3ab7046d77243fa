"""A recorded trace: when a meter's readings were made, and when its gateway began to show each.

A JSON line for each reading: `{"made": 1767225600, "shows": 1767225603.6}`, in Unix seconds. `made`
is the reading's own time, by the gateway's clock; `shows` is by a right clock. A gateway shows a
reading until it begins to show another.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.meter import Moment

MOST_READINGS = 10_000_000


class TracedReading(NamedTuple):
    made: float
    shows: float


@dataclass(frozen=True)
class Trace:
    """The readings in the order in which the gateway began to show them; at least one."""

    readings: tuple[TracedReading, ...]

    @classmethod
    def of(cls, readings: Iterable[TracedReading]) -> Self:
        """Raises ValueError if there is no reading."""
        in_order = tuple(sorted(readings, key=lambda reading: reading.shows))
        if not in_order:
            raise ValueError("it holds no reading")
        return cls(in_order)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, which names the line."""
        lines = [(at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) > MOST_READINGS:
            raise ValueError(f"it holds more than {MOST_READINGS} readings")
        return cls.of(_reading(at, line) for at, line in lines)


def read_trace(path: Path) -> Trace:
    """Raises OSError, and ValueError, which names the line."""
    return Trace.parse(path.read_text())


def _reading(number: int, line: str) -> TracedReading:
    try:
        members = json.loads(line)
        reading = TracedReading(float(members["made"]), float(members["shows"]))
    except (ValueError, TypeError, LookupError, OverflowError):
        reading = TracedReading(math.nan, math.nan)
    if not all(map(math.isfinite, reading)):
        raise ValueError(
            f'line {number}: expected {{"made": …, "shows": …}}, two numbers in Unix seconds'
        )
    return reading


class TracedMeter:
    """Meters that follow a trace: it begins at `begins` (Unix seconds), and again when it ends.

    Homes are spread over the trace, so that their meters do not speak at the same moment. With
    `together`, all meters speak at once.
    """

    def __init__(self, trace: Trace, begins: float, *, together: bool = False) -> None:
        first, last = trace.readings[0].shows, trace.readings[-1].shows
        self._shows = [reading.shows - first for reading in trace.readings]
        self._made = [reading.made - math.floor(first) for reading in trace.readings]
        # Whole seconds, so that own times, which are whole, keep their distances.
        self._lap = max(1, math.ceil(last - first) + 8)
        self._begins = math.floor(begins)
        self._together = together

    def latest_reading(self, home: Home, now: float) -> Moment:
        """The reading that the gateway shows at `now`."""
        ahead = 0 if self._together else home.salt % self._lap
        laps, passed = divmod(now - self._begins + ahead, self._lap)
        turn = int(laps) * len(self._shows) + bisect_right(self._shows, passed) - 1
        lap_begins = self._begins - ahead + int(laps) * self._lap
        return Moment(turn, math.floor(self._made[turn % len(self._made)] + lap_begins))
