"""A person at a keyboard, or an init system, asks a command to stop."""

from __future__ import annotations

import signal
import time
from types import FrameType

_LOOK_EVERY_S = 0.1


class StopRequest:
    """`asked` is True once one of the signals has come: Ctrl-C or SIGTERM, unless others are given.
    Must be made in the main thread: it takes over these signals."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.asked = False
        for number in signals or (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note_request)

    def wait(self, seconds: float) -> None:
        """Wait until a stop is asked for, so many seconds at most."""
        end = time.monotonic() + seconds
        while not self.asked and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)

    def _note_request(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
