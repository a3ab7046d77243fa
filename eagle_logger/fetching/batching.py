"""Many tasks of one event loop hand in one thing each; one call carries them all."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Hands on what was handed in, together: at most once per `pause` seconds, and one call at a
    time.

    `carry` gets the items and answers with one result each, in the same order; if it raises, so
    does every `add` it served.
    """

    def __init__(
        self, carry: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, pause: float = 0.0
    ) -> None:
        self._carry = carry
        self._pause = pause
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._last_run = float("-inf")

    async def add(self, item: Item) -> Result:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._runner is None:
            # In no one's name: what it logs concerns all of them.
            self._runner = asyncio.create_task(self._run(), context=contextvars.Context())
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                # Even without a pause, whoever is ready in this turn of the loop joins.
                await asyncio.sleep(max(0.0, self._last_run + self._pause - loop.time()))
                self._last_run = loop.time()
                gathered, self._waiting = self._waiting, []
                await self._carry_all(gathered)
        finally:
            self._runner = None

    async def _carry_all(self, gathered: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._carry([item for item, _ in gathered])
        except Exception as exc:  # noqa: BLE001  (handed to those who wait)
            for _, answer in gathered:
                if not answer.done():
                    answer.set_exception(exc)
            return
        for (_, answer), result in zip(gathered, results, strict=True):
            if not answer.done():
                answer.set_result(result)


class WeightedSemaphore:
    """How many users one process serves at once. A message's users come in together, first come,
    first served."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._inside = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def inside(self) -> int:
        return self._inside

    async def enter(self, count: int) -> None:
        """Wait until `count` more fit. More than the room's size come in when it is empty."""
        if not self._queue and self._fits(count):
            self._inside += count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self.leave(0 if turn.cancelled() else count)
            raise

    def leave(self, count: int = 1) -> None:
        self._inside -= count
        while self._queue and (self._queue[0][1].cancelled() or self._fits(self._queue[0][0])):
            more, turn = self._queue.popleft()
            if not turn.cancelled():
                self._inside += more
                turn.set_result(None)

    def _fits(self, count: int) -> bool:
        return self._inside == 0 or self._inside + count <= self._size
