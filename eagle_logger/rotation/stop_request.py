"""A person at a keyboard, or an init system, asks a rotation to stop."""

from __future__ import annotations

import signal
from types import FrameType


class StopRequest:
    """`asked` is True once Ctrl-C or SIGTERM has come. Must be made in the main thread: it takes
    over both signals."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note_request)

    def _note_request(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
