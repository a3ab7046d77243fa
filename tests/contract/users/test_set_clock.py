"""The store's clock is set back or forward: no user waits for that, and no lease ends early."""

from __future__ import annotations

import pytest

from eagle_logger.users.store import UserStore
from tests.contract.users.conftest import LEASE
from tests.contract.users.scheduling import add, claimed, lease_of, reported
from tests.support.hand_clock import HandClock


@pytest.mark.parametrize("step", [-3600.0, 3600.0, -86400.0])
async def test_a_clock_that_is_set_keeps_no_user_waiting(
    store: UserStore, clock: HandClock, step: float
) -> None:
    """One user waits for its turn, one is being fetched, and one is leased but not claimed yet."""
    await add(store, "000001", "000002", "000003")
    [first] = await claimed(store, "000001")
    await store.schedule.report([reported(first, pause=20.0)], {})
    assert await store.schedule.lease(10) == ["000002", "000003"]
    [second] = await store.schedule.claim(["000002"], "worker")
    assert await store.schedule.begin([second]) == {"000002"}
    clock.advance(step)
    leased = set[str]()
    for _ in range(40):
        clock.advance(1.0)
        leased.update(await store.schedule.lease(10))
    assert leased == {"000001", "000002", "000003"}
    for claim in await store.schedule.claim(sorted(leased), "worker"):
        assert claim.last_request is None or claim.last_request <= claim.claimed_at
        await store.schedule.report([reported(claim)], {})


async def test_a_user_given_back_after_the_clock_was_set_back_is_due(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "000001", "000002")
    assert (await store.schedule.request(["000001"])).leased == ("000001",)
    assert [claim.cloud_id for claim in await claimed(store, "000002")] == ["000002"]
    clock.advance(-3600.0)
    await store.schedule.forget(None, ["000001"])
    assert await store.schedule.free("worker") == ["000002"]
    assert await store.schedule.lease(10) == ["000001", "000002"]
    assert await store.schedule.free("worker") == []


async def test_a_clock_that_is_set_forward_ends_no_lease(
    store: UserStore, clock: HandClock
) -> None:
    """If it did, a second worker would ask a gateway that is just being asked."""
    await add(store, "000001", "000002")
    assert await store.schedule.lease(10) == ["000001", "000002"]
    [held] = await store.schedule.claim(["000001"], "worker")
    assert await store.schedule.begin([held]) == {"000001"}
    clock.advance(1.0)
    assert await store.schedule.lease(10) == []
    clock.jump(30.0)
    clock.advance(1.0)
    assert await store.schedule.lease(10) == []
    assert await store.schedule.begin([held]) == {"000001"}
    for _ in range(17):
        clock.advance(1.0)
        assert await store.schedule.lease(10) == []
    clock.advance(1.0)
    assert await store.schedule.lease(10) == ["000002"], (
        "an unclaimed lease ends as if no clock had been set"
    )
    clock.advance(2.0)
    assert await store.schedule.lease(10) == ["000001"]


async def test_leases_end_in_time_while_nobody_leases(store: UserStore, clock: HandClock) -> None:
    """A pause of the dispatcher must not look like a clock that was set forward."""
    await add(store, "000001")
    assert await store.schedule.lease(10) == ["000001"]
    clock.advance(25.0)
    assert await store.schedule.lease(10) == ["000001"]


@pytest.mark.parametrize("step", [30.0, 3600.0])
async def test_no_lease_becomes_longer_than_a_new_one(
    store: UserStore, clock: HandClock, step: float
) -> None:
    await add(store, "000001")
    assert await store.schedule.lease(10) == ["000001"]
    clock.jump(step)
    [claim] = await store.schedule.claim(["000001"], "worker")
    assert await store.schedule.lease(10) == []
    assert await lease_of(store, "000001") == claim.claimed_at + LEASE
