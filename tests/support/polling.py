"""Waiting for a state, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE = 10.0


async def until(
    happened: Callable[[], bool | Awaitable[bool]], *, patience: float = PATIENCE
) -> None:
    """Come back once it has happened; fail if it does not within `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        answer = happened()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)
