from __future__ import annotations

import asyncio

import pytest

from eagle_logger.fetching.weighted_semaphore import WeightedSemaphore


async def test_a_request_waits_until_all_its_places_are_free() -> None:
    semaphore = WeightedSemaphore(3)
    await semaphore.acquire(2)
    waiting = asyncio.create_task(semaphore.acquire(2))
    await asyncio.sleep(0)
    assert (semaphore.taken, waiting.done()) == (2, False)
    semaphore.release(1)
    await waiting
    assert semaphore.taken == 3


async def test_more_places_than_there_are_can_be_taken_while_none_is() -> None:
    semaphore = WeightedSemaphore(3)
    await semaphore.acquire(10)
    assert semaphore.taken == 10


async def test_a_small_request_does_not_overtake_a_large_one() -> None:
    semaphore = WeightedSemaphore(3)
    await semaphore.acquire(2)
    large, small = (asyncio.create_task(semaphore.acquire(count)) for count in (3, 1))
    await asyncio.sleep(0)
    assert (large.done(), small.done()) == (False, False)
    semaphore.release(2)
    await large
    assert (semaphore.taken, small.done()) == (3, False)
    semaphore.release(3)
    await small
    assert semaphore.taken == 1


async def test_a_cancelled_request_takes_no_place_and_lets_the_next_one_in() -> None:
    semaphore = WeightedSemaphore(3)
    await semaphore.acquire(2)
    large, small = (asyncio.create_task(semaphore.acquire(count)) for count in (2, 1))
    await asyncio.sleep(0)
    large.cancel()
    await small
    assert semaphore.taken == 3


async def test_a_request_cancelled_just_after_it_was_admitted_gives_its_place_back() -> None:
    semaphore = WeightedSemaphore(1)
    await semaphore.acquire(1)
    waiting = asyncio.create_task(semaphore.acquire(1))
    await asyncio.sleep(0)
    semaphore.release(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert semaphore.taken == 0
