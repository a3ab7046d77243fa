"""Waiting for a state, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(happened: Callable[[], bool | Awaitable[bool]], *, patience: float = 10.0) -> None:
    """Return once it has happened; fail if it does not happen within `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        answer = happened()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)
