from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eagle_logger.fetching.batching import Batcher, WeightedSemaphore


async def test_what_is_handed_in_together_is_carried_together_and_answered_each() -> None:
    calls: list[list[int]] = []

    async def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [2 * item for item in items]

    gatherer = Batcher(double)
    assert await asyncio.gather(*(gatherer.add(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert calls == [[0, 1, 2, 3, 4]]


async def test_what_comes_during_a_call_waits_for_the_next() -> None:
    calls: list[list[int]] = []
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(items: Sequence[int]) -> Sequence[int]:
        calls.append(list(items))
        entered.set()
        await go_on.wait()
        return items

    gatherer = Batcher(slow)
    first = asyncio.create_task(gatherer.add(1))
    await entered.wait()
    others = [asyncio.create_task(gatherer.add(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3]
    assert calls == [[1], [2, 3]]


async def test_a_failed_call_fails_those_it_served_and_nobody_after() -> None:
    calls = 0

    async def fails_once(items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("away")
        return items

    gatherer = Batcher(fails_once)
    with pytest.raises(RuntimeError, match="away"):
        await gatherer.add(1)
    assert await gatherer.add(2) == 2


async def test_somebody_who_stops_waiting_does_not_disturb_the_others() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(items: Sequence[int]) -> Sequence[int]:
        entered.set()
        await go_on.wait()
        return items

    gatherer = Batcher(slow)
    impatient, patient = (asyncio.create_task(gatherer.add(number)) for number in (1, 2))
    await entered.wait()
    impatient.cancel()
    go_on.set()
    assert await patient == 2
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_room_lets_in_only_what_fits() -> None:
    room = WeightedSemaphore(3)
    await room.enter(2)
    waiting = asyncio.create_task(room.enter(2))
    await asyncio.sleep(0)
    assert (room.inside, waiting.done()) == (2, False)
    room.leave()
    await waiting
    assert room.inside == 3


async def test_more_than_the_room_holds_comes_in_when_it_is_empty() -> None:
    room = WeightedSemaphore(3)
    await room.enter(10)
    assert room.inside == 10


async def test_whoever_came_first_goes_in_first_even_if_less_would_fit() -> None:
    room = WeightedSemaphore(3)
    await room.enter(2)
    many, few = (asyncio.create_task(room.enter(count)) for count in (3, 1))
    await asyncio.sleep(0)
    assert (many.done(), few.done()) == (False, False)
    room.leave(2)
    await many
    assert (room.inside, few.done()) == (3, False)
    room.leave(3)
    await few
    assert room.inside == 1


async def test_whoever_gives_up_waiting_lets_the_next_in_and_takes_no_place() -> None:
    room = WeightedSemaphore(3)
    await room.enter(2)
    many, few = (asyncio.create_task(room.enter(count)) for count in (2, 1))
    await asyncio.sleep(0)
    many.cancel()
    await few
    assert room.inside == 3


async def test_a_place_given_to_somebody_who_gave_up_at_that_moment_is_free_again() -> None:
    room = WeightedSemaphore(1)
    await room.enter(1)
    waiting = asyncio.create_task(room.enter(1))
    await asyncio.sleep(0)
    room.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert room.inside == 0
