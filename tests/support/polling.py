"""Waiting for a state, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE_S = 180.0
"""How long a test waits for a state that usually comes in seconds. Machines are busy and slow."""


async def until(
    happened: Callable[[], bool | Awaitable[bool]], *, patience: float = PATIENCE_S
) -> None:
    """Return once it has happened; fail if it does not happen within `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        answer = happened()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


def wait_until(
    condition: Callable[[], bool], patience: float = PATIENCE_S, *, pause: float = 0.02
) -> None:
    """`until` for a test without an event loop; it looks every `pause` seconds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(pause)
