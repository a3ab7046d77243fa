"""Whether another machine's clock was set, as seen by one's own steady clock."""

from __future__ import annotations

GIVE = 0.1
"""Seconds that the two clocks may differ from before without anybody having set one."""
DRIFT = 0.02
"""The share of the time since the last look by which they may besides: a clock that is slewed runs that fast."""


class ClockJumps:
    """Of one other clock. Moments `sent` and `received` are steady seconds of one's own."""

    def __init__(self) -> None:
        self._least, self._most, self._seen = float("-inf"), float("inf"), 0.0
        self._jumped = float("-inf")

    def note(self, there: float, *, sent: float, received: float) -> None:
        """The other clock showed `there` at some moment between the two."""
        least, most = there - received, there - sent
        give = GIVE + DRIFT * max(0.0, received - self._seen)
        if least > self._most + give or most < self._least - give:
            self._jumped = received
        self._least, self._most, self._seen = least, most, received

    def any_since(self, moment: float) -> bool:
        """Whether a jump was noticed at that moment or later."""
        return self._jumped >= moment
