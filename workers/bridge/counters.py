"""Counters of this process on their way to the store: added up here, written once a second."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from eagle_logger.errors import RedisUnavailable
from eagle_logger.users.store import UserStore

_log = structlog.get_logger("eagle_logger.counters")


class Counters:
    def __init__(self, users: UserStore) -> None:
        self._users = users
        self._waiting: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        if count:
            self._waiting[name] += count

    async def flush(self) -> None:
        """Write what has been counted. While Redis is away it is kept."""
        tally, self._waiting = self._waiting, Counter()
        if not tally:
            return
        try:
            await self._users.count(tally)
        except RedisUnavailable as exc:
            self._waiting += tally
            _log.warning("counters are kept until Redis is back", reason=str(exc))

    async def run(self, *, every: float = 1.0) -> None:
        while True:
            await asyncio.sleep(every)
            await self.flush()
