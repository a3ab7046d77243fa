"""A clock that is set keeps nobody waiting."""

from __future__ import annotations

import pytest

from eagle_logger.users.store import UserStore
from tests.contract.users.scheduling import add, claimed, reported
from tests.support.hand_clock import HandClock


@pytest.mark.parametrize("step", [-3600.0, 3600.0, -86400.0])
async def test_a_clock_that_is_set_keeps_nobody_waiting(store: UserStore, clock: HandClock, step: float) -> None:
    """One waits for its turn, one is in a worker's hands, one was handed out and is not claimed yet."""
    await add(store, "000001", "000002", "000003")
    [first] = await claimed(store, "000001")
    await store.report([reported(first, pause=20.0)], {})
    assert await store.lease(10) == ["000002", "000003"]
    [second] = await store.claim(["000002"], "worker")
    assert await store.begin([second]) == {"000002"}
    clock.advance(step)
    leased = set[str]()
    for _ in range(40):
        clock.advance(1.0)
        leased.update(await store.lease(10))
    assert leased == {"000001", "000002", "000003"}
    for claim in await store.claim(sorted(leased), "worker"):
        assert claim.last_request is None or claim.last_request <= claim.claimed_at
        await store.report([reported(claim)], {})


async def test_what_is_given_back_after_the_clock_was_set_back_is_due(store: UserStore, clock: HandClock) -> None:
    await add(store, "000001", "000002")
    assert (await store.request(["000001"])).leased == ("000001",)
    assert [claim.cloud_id for claim in await claimed(store, "000002")] == ["000002"]
    clock.advance(-3600.0)
    await store.forget(None, ["000001"])
    assert await store.free("worker") == ["000002"]
    assert await store.lease(10) == ["000001", "000002"]
    assert await store.free("worker") == []
