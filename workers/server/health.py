"""`/healthz`: this process. `/readyz`: the system, by recent progress rather than by living
processes."""

from __future__ import annotations

import asyncio
import time

from eagle_logger.errors import RedisUnavailable
from eagle_logger.inspection.health import (
    DISPATCH_SILENT_AFTER_S,
    OK,
    dispatch_check,
    fetch_check,
    worker_check,
)
from workers.server import problems
from workers.server.context import Bridge
from workers.server.handlers import Handler
from workers.server.models import Health, Readiness

LOOKS_EVERY = 5.0
"""Seconds."""


class HealthHandler(Handler):
    limited = False

    async def get(self) -> None:
        self.answer(Health(status=OK))


class ReadyHandler(Handler):
    async def get(self) -> None:
        found = await readiness(self.bridge)
        if not found.ready:
            raise problems.HttpProblem(
                503, "not_ready", "the system makes no progress", **found.model_dump()
            )
        self.answer(found)


async def readiness(bridge: Bridge) -> Readiness:
    try:
        async with asyncio.timeout(5):
            fleet = bridge.fleet
            now, progress, totals, tally = await asyncio.gather(
                fleet.now(), fleet.progress(), fleet.totals(), fleet.tally()
            )
    except (RedisUnavailable, TimeoutError):
        return Readiness(ready=False, checks={"redis": "does not answer"})
    checks = {
        "redis": OK,
        "dispatch": dispatch_check(progress, now, bridge.stretched(DISPATCH_SILENT_AFTER_S)),
        "workers": worker_check(progress, totals, now, bridge.stretched(bridge.worker_patience)),
        "fetches": fetch_check(
            bridge.stall.stalled(tally.get("fetches", 0), totals, time.monotonic()),
            bridge.worker_patience,
        ),
    }
    return Readiness(ready=set(checks.values()) == {OK}, checks=checks)


async def watch(bridge: Bridge) -> None:
    """Look every few seconds, so that whoever asks is told of what was before, too."""
    while True:
        await readiness(bridge)
        await asyncio.sleep(LOOKS_EVERY)
