"""Tells whether another machine's clock was set, by comparing it with this process' steady clock."""

from __future__ import annotations

GIVE = 0.1
"""Seconds. A smaller change of the difference between the two clocks is no jump."""
DRIFT = 0.02
"""Share of the time since the last look that is added to `GIVE`: a clock that is being slewed
drifts that fast."""


class ClockJumps:
    """The jumps of one other clock. `sent`, `received` and `moment` are steady seconds of this
    process."""

    def __init__(self) -> None:
        self._least, self._most, self._seen = float("-inf"), float("inf"), 0.0
        self._jumped = float("-inf")

    def note(self, there: float, *, sent: float, received: float) -> None:
        """The other clock showed `there` at some moment between `sent` and `received`."""
        least, most = there - received, there - sent
        give = GIVE + DRIFT * max(0.0, received - self._seen)
        if least > self._most + give or most < self._least - give:
            self._jumped = received
        self._least, self._most, self._seen = least, most, received

    def any_since(self, moment: float) -> bool:
        """Whether a jump was noticed at `moment` or later."""
        return self._jumped >= moment
