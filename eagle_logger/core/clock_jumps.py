"""Finds out whether another machine's clock was set, by comparing it with this process' steady
clock."""

from __future__ import annotations

TOLERANCE_S = 0.1
"""A smaller change of the difference between the two clocks is no jump."""
DRIFT = 0.02
"""Seconds of tolerance for each second since the last comparison. A clock that is being slewed
drifts that fast."""


class ClockJumps:
    """The jumps of one other clock. `sent`, `received` and `moment` are steady seconds of this
    process."""

    def __init__(self) -> None:
        # The bounds of the difference (other clock minus steady clock), and when it was measured.
        self._least, self._most, self._measured = float("-inf"), float("inf"), 0.0
        self._jumped = float("-inf")

    def note(self, there: float, *, sent: float, received: float) -> None:
        """The other clock showed `there` at some moment between `sent` and `received`."""
        least, most = there - received, there - sent
        tolerance = TOLERANCE_S + DRIFT * max(0.0, received - self._measured)
        if least > self._most + tolerance or most < self._least - tolerance:
            self._jumped = received
        self._least, self._most, self._measured = least, most, received

    def any_since(self, moment: float) -> bool:
        """Whether a jump was noticed at `moment` or later."""
        return self._jumped >= moment
