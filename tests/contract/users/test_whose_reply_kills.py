"""Who kills the process that handles its reply is found out."""

from __future__ import annotations

import pytest

from eagle_logger.core.poison_users import CONVICTED_AFTER, is_convicted
from eagle_logger.users.store import UserStore
from tests.contract.users.scheduling import add, claimed, reported
from tests.support.hand_clock import HandClock


class Fleet:
    """A store's users fetched by a worker that dies whenever it has somebody guilty in its hands,
    and is started again."""

    def __init__(self, store: UserStore, clock: HandClock, size: int, guilty: set[str]) -> None:
        self.store, self.clock, self.guilty = store, clock, guilty
        self.ids = [f"{number:06x}" for number in range(size)]
        self.deaths = 0
        self.always_dies = False

    async def second(self) -> None:
        self.clock.advance(1.0)
        claims = await self.store.schedule.claim(await self.store.schedule.lease(1000), "worker")
        for claim in claims:
            if is_convicted(claim.abandoned):
                await self.store.schedule.report(
                    [reported(claim, claim.state._replace(failures=1, parked="poison"))], {}
                )
        left = [claim for claim in claims if not is_convicted(claim.abandoned)]
        if left and (
            self.always_dies or not self.guilty.isdisjoint(claim.cloud_id for claim in left)
        ):
            self.deaths += 1
            await self.store.schedule.free("worker")
            return
        await self.store.schedule.report([reported(claim) for claim in left], {})

    async def parked(self) -> set[str]:
        return {
            one.user.cloud_id
            async for page in self.store.users.all()
            for one in page
            if one.state.parked
        }


@pytest.mark.parametrize("size", [1, 2, 30, 200])
async def test_who_kills_is_parked_after_few_deaths_and_nobody_else_is(
    store: UserStore, clock: HandClock, size: int
) -> None:
    fleet = Fleet(store, clock, size, {"000000"})
    await add(store, *fleet.ids)
    for _ in range(90):
        await fleet.second()
    assert await fleet.parked() == {"000000"}
    assert fleet.deaths <= CONVICTED_AFTER + 3
    assert (await store.fleet.totals()).due + (await store.fleet.totals()).leased == size - 1
    if size > 1:
        [one] = await claimed(store, "000001")
        assert one.abandoned == 0
        await store.schedule.report([reported(one)], {})

    fleet.guilty.clear()
    await add(store, "000000")
    for _ in range(7):
        await fleet.second()
    woken = await store.users.get("000000")
    assert woken is not None
    assert woken.state.parked is None
    assert woken.due is not None


async def test_two_who_kill_are_both_found_out(store: UserStore, clock: HandClock) -> None:
    fleet = Fleet(store, clock, 60, {"000007", "000033"})
    await add(store, *fleet.ids)
    for _ in range(150):
        await fleet.second()
    assert await fleet.parked() == {"000007", "000033"}
    assert fleet.deaths <= 2 * CONVICTED_AFTER + 3


async def test_a_worker_that_always_dies_makes_nobody_guilty(
    store: UserStore, clock: HandClock
) -> None:
    """It is killed by hand, or falls over by itself: once that ends, everybody is fetched again."""
    fleet = Fleet(store, clock, 20, set())
    await add(store, *fleet.ids)
    fleet.always_dies = True
    for _ in range(300):
        await fleet.second()
    assert fleet.deaths > 40
    fleet.always_dies = False
    for _ in range(60):
        await fleet.second()
    assert await fleet.parked() == set()
    assert {claim.abandoned for claim in await claimed(store, *fleet.ids)} == {0}
