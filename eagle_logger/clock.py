"""The one source of "now": a test can make the hours pass faster for all processes at once."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall-clock time in Unix seconds. With a speed other than 1, which is for tests, the time
    since `origin` runs that many times faster.

    Everything about readings (their times, hours, cadence, grace) is in this clock's seconds.
    Durations that belong to the machine (deadlines, leases, the gap between two requests) are in
    real seconds. Where the two meet, `stretched` and `real` convert one into the other.
    """

    origin: float = 0.0
    speed: float = 1.0

    def now(self) -> float:
        real = time.time()
        return real if self.speed == 1.0 else self.origin + (real - self.origin) * self.speed

    def steady(self) -> float:
        """Real seconds on a clock that nobody can set. Only the difference between two of its
        values has a meaning."""
        return self.real(self.now()) if self.is_accelerated else time.monotonic()

    def stretched(self, real_seconds: float) -> float:
        """Real seconds, as seconds of this clock."""
        return real_seconds * self.speed

    def real(self, seconds: float) -> float:
        """Seconds of this clock, as real seconds."""
        return seconds / self.speed

    @property
    def is_accelerated(self) -> bool:
        return self.speed != 1.0

    @classmethod
    def parse(cls, text: str) -> Clock:
        """From EAGLE_TEST_CLOCK: `<origin in Unix seconds>@<speed>`, such as `1767225600@360`.
        Raises ValueError."""
        origin, at, speed = text.partition("@")
        clock = cls(float(origin), float(speed)) if at else None
        if clock is None or not 0 < clock.speed <= 100_000:
            raise ValueError("expected <origin in Unix seconds>@<speed>, such as 1767225600@360")
        return clock

    def __str__(self) -> str:
        return f"{self.origin!r}@{self.speed!r}"
