from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eagle_logger.fetching.batching import Batcher


class HeldCalls:
    """Returns each call's items, and keeps every call waiting until a test lets go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.calls.append(list(items))
        self.entered.set()
        await self.go_on.wait()
        return items


async def test_items_added_together_are_processed_in_one_call_with_a_result_each() -> None:
    calls: list[list[int]] = []

    async def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [2 * item for item in items]

    batcher = Batcher(double)
    assert await asyncio.gather(*(batcher.add(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert calls == [[0, 1, 2, 3, 4]]


async def test_items_added_during_a_call_wait_for_the_next() -> None:
    process = HeldCalls()
    batcher = Batcher(process)
    first = asyncio.create_task(batcher.add(1))
    await process.entered.wait()
    others = [asyncio.create_task(batcher.add(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    process.go_on.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3]
    assert process.calls == [[1], [2, 3]]


async def test_a_failed_call_fails_its_own_items_and_no_later_ones() -> None:
    calls = 0

    async def fail_once(items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("away")
        return items

    batcher = Batcher(fail_once)
    with pytest.raises(RuntimeError, match="away"):
        await batcher.add(1)
    assert await batcher.add(2) == 2


async def test_a_cancelled_item_does_not_disturb_the_others() -> None:
    process = HeldCalls()
    batcher = Batcher(process)
    cancelled, kept = (asyncio.create_task(batcher.add(number)) for number in (1, 2))
    await process.entered.wait()
    cancelled.cancel()
    process.go_on.set()
    assert await kept == 2
    with pytest.raises(asyncio.CancelledError):
        await cancelled
