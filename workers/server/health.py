"""`/healthz`: whether this process lives. `/readyz`: whether the system makes progress; that its
processes live proves nothing."""

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
from workers.server.context import Bridge
from workers.server.handlers import Handler
from workers.server.models import Health, Readiness
from workers.server.problems import HttpProblem

READINESS_CHECKED_EVERY_S = 5.0


class HealthHandler(Handler):
    is_rate_limited = False

    async def get(self) -> None:
        self.answer(Health(status=OK))


class ReadyHandler(Handler):
    async def get(self) -> None:
        result = await check_readiness(self.bridge)
        if not result.ready:
            detail = "the system makes no progress"
            raise HttpProblem(503, "not_ready", detail, **result.model_dump())
        self.answer(result)


async def check_readiness(bridge: Bridge) -> Readiness:
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
        "workers": worker_check(
            progress, totals, now, bridge.stretched(bridge.workers_silent_after_s)
        ),
        "fetches": fetch_check(
            bridge.stall.stalled(tally.get("fetches", 0), totals, time.monotonic()),
            bridge.workers_silent_after_s,
        ),
    }
    return Readiness(ready=set(checks.values()) == {OK}, checks=checks)


async def watch_readiness(bridge: Bridge) -> None:
    """Check every few seconds. Otherwise the stall detector would only know what happened since the
    last request to `/readyz`."""
    while True:
        await check_readiness(bridge)
        await asyncio.sleep(READINESS_CHECKED_EVERY_S)
