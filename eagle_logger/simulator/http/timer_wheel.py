"""Many short delays for the price of few timers: calls that are due in the same few milliseconds
share one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK_S = 0.005
"""A call comes up to half a tick early or late."""


class TimerWheel:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, list[Callable[[], None]]] = {}

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Call at about `when`, in seconds of the loop's clock."""
        tick = round(when / TICK_S)
        waiting = self._callbacks.get(tick)
        if waiting is None:
            self._callbacks[tick] = [callback]
            self._loop.call_at(tick * TICK_S, self._run_callbacks, tick)
        else:
            waiting.append(callback)

    def _run_callbacks(self, tick: int) -> None:
        for callback in self._callbacks.pop(tick):
            try:
                callback()
            except Exception as exc:  # noqa: BLE001  (as the loop does: the other calls still come)
                self._loop.call_exception_handler(
                    {"message": "a delayed call failed", "exception": exc}
                )
