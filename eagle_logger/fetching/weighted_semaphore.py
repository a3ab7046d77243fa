"""A semaphore from which one caller takes several places at once: one for each user of a
message."""

from __future__ import annotations

import asyncio
from collections import deque


class WeightedSemaphore:
    """For one event loop. First come, first served: a large request is not overtaken by a small one
    that would fit."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        return self._taken

    async def acquire(self, count: int) -> None:
        """Wait until `count` places are free, then take them. A count that exceeds the size is
        admitted alone, while no place is taken."""
        if not self._queue and self._fits(count):
            self._taken += count
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((count, admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            # If `release` admitted this caller before it was cancelled, its places are taken.
            self.release(0 if admitted.cancelled() else count)
            raise

    def release(self, count: int) -> None:
        self._taken -= count
        while self._queue:
            wanted, admitted = self._queue[0]
            if not admitted.cancelled():
                if not self._fits(wanted):
                    return
                self._taken += wanted
                admitted.set_result(None)
            self._queue.popleft()

    def _fits(self, count: int) -> bool:
        return self._taken == 0 or self._taken + count <= self._size
