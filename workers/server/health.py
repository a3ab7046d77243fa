"""`/healthz`: this process. `/readyz`: the system, by recent progress rather than by living processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from eagle_logger.errors import RedisUnavailable
from eagle_logger.users.store import Totals
from workers.server import problems
from workers.server.base import Handler
from workers.server.bridge import Bridge
from workers.server.models import Health, Readiness

OK = "ok"
DISPATCH = "dispatch"
DISPATCH_PATIENCE = 30.0
"""Seconds. Beat asks for a dispatch every second."""

LOOKS_EVERY = 5.0
"""Seconds."""

_OTHERS = ("rotat", "sqs", "bridge", "beat", "dispatch")
"""How the names of processes begin that do not fetch."""

Progress = Mapping[str, Mapping[str, str | int | float]]


class HealthHandler(Handler):
    limited = False

    async def get(self) -> None:
        self.answer(Health(status=OK))


class ReadyHandler(Handler):
    async def get(self) -> None:
        found = await readiness(self.bridge)
        if not found.ready:
            raise problems.Problem(503, "not_ready", "the system makes no progress", **found.model_dump())
        self.answer(found)


async def readiness(bridge: Bridge) -> Readiness:
    try:
        async with asyncio.timeout(5):
            users = bridge.users
            now, progress, totals, tally = await asyncio.gather(users.now(), users.progress(), users.totals(), users.tally())
    except (RedisUnavailable, TimeoutError):
        return Readiness(ready=False, checks={"redis": "does not answer"})
    checks = {
        "redis": OK,
        "dispatch": dispatch_check(progress, now, bridge.stretched(DISPATCH_PATIENCE)),
        "workers": worker_check(progress, totals, now, bridge.stretched(bridge.worker_patience)),
        "fetches": fetch_check(bridge.stall.look(tally.get("fetches", 0), totals, time.monotonic()), bridge.worker_patience),
    }
    return Readiness(ready=set(checks.values()) == {OK}, checks=checks)


async def watch(bridge: Bridge) -> None:
    """Look every few seconds, so that whoever asks is told of what was before, too."""
    while True:
        await readiness(bridge)
        await asyncio.sleep(LOOKS_EVERY)


def fetch_check(stalled: float, patience: float) -> str:
    """A worker that lives, reports and consumes nothing has been seen: what counts is that users get fetched."""
    return OK if stalled <= patience else f"users wait, and none was fetched for {stalled:.0f} s: do the workers consume?"


def dispatch_check(progress: Progress, now: float, patience: float) -> str:
    """Beat and the dispatcher: the one does nothing without the other."""
    if DISPATCH not in progress:
        return "nothing was dispatched within the hour: are beat and the dispatcher running?"
    age = now - float(progress[DISPATCH]["at"])
    return OK if age <= patience else f"last dispatch {age:.0f} s ago: beat or the dispatcher hangs"


def worker_check(progress: Progress, totals: Totals, now: float, patience: float) -> str:
    if totals.users == totals.parked:
        return OK
    ages = [now - float(note["at"]) for name, note in progress.items() if not name.startswith(_OTHERS)]
    if not ages:
        return "no fetching process has reported within the hour"
    return OK if min(ages) <= patience else f"no fetching process has reported for {min(ages):.0f} s"
