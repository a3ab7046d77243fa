"""Many tasks of one event loop each hand in one item, and one call processes them all."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Calls `process` with all items that were added since the last call: one call at a time, and
    at most one every `pause` seconds.

    `process` returns one result for each item, in the same order. If it raises, so does every `add`
    whose item it was given.
    """

    def __init__(
        self,
        process: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        pause: float = 0.0,
    ) -> None:
        self._process = process
        self._pause = pause
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._last_call = float("-inf")

    async def add(self, item: Item) -> Result:
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._runner is None:
            # With a context of its own: what it logs concerns all items, so it must not carry the
            # message id of the task that added the first one.
            self._runner = asyncio.create_task(self._run(), context=contextvars.Context())
        return await result

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                # Even a pause of 0 lets the tasks that are ready in this turn of the loop join.
                await asyncio.sleep(max(0.0, self._last_call + self._pause - loop.time()))
                self._last_call = loop.time()
                batch, self._waiting = self._waiting, []
                await self._process_batch(batch)
        finally:
            self._runner = None

    async def _process_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._process([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001  (raised again by each `add`)
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
