"""How often something may happen: a token bucket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` in the long run, `burst` at once."""

    per_second: float
    burst: float


class TokenBucket:
    """It is full at first. `now` comes from any clock that only goes forward, in seconds."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._counted_at = now

    def take(self, now: float) -> float:
        """Take a token: 0 if there was one, else the seconds until there will be one."""
        earned = (now - self._counted_at) * self._rate.per_second
        self._tokens = min(self._tokens + earned, self._rate.burst)
        self._counted_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate.per_second
        self._tokens -= 1
        return 0.0
