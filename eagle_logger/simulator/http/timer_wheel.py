"""Many short delays for the price of few timers: what falls due in the same few milliseconds shares
one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK = 0.005
"""Seconds; a call comes up to half of this early or late."""


class TimerWheel:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ticks: dict[int, list[Callable[[], None]]] = {}

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Call at about `when` (the loop's time)."""
        tick = round(when / TICK)
        waiting = self._ticks.get(tick)
        if waiting is None:
            self._ticks[tick] = [call]
            self._loop.call_at(tick * TICK, self._fire, tick)
        else:
            waiting.append(call)

    def _fire(self, tick: int) -> None:
        for call in self._ticks.pop(tick):
            try:
                call()
            except Exception as exc:  # noqa: BLE001  (as the loop does: one call's mistake is not the others')
                self._loop.call_exception_handler(
                    {"message": "a delayed call failed", "exception": exc}
                )
