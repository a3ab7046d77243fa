"""The counters of this process: added up here, and written to the store once a second."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from eagle_logger.errors import RedisUnavailable
from eagle_logger.users.store import Fleet

_log = structlog.get_logger("eagle_logger.counters")


class Counters:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._unwritten: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        if count:
            self._unwritten[name] += count

    async def flush(self) -> None:
        """Write what has been counted; keep it while Redis is away."""
        counts, self._unwritten = self._unwritten, Counter()
        if not counts:
            return
        try:
            await self._fleet.count(counts)
        except RedisUnavailable as exc:
            self._unwritten += counts
            detail = "the counters are kept here until Redis is back"
            _log.warning("counters_kept", reason=str(exc), detail=detail)

    async def run(self, *, every: float = 1.0) -> None:
        """Flush every so many seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.flush()
