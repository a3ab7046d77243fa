"""A user whose reply kills the process that handles it is parked, and no other user is."""

from __future__ import annotations

import pytest

from eagle_logger.core.poison_users import PARKED_AFTER_DEATHS, is_poison
from eagle_logger.users.store import Claim, UserStore
from tests.contract.users.scheduling import add, claimed, due_of, reported
from tests.support.hand_clock import HandClock

LONGEST_REST_S = 15.0


class Fleet:
    """A store's users and one worker, which dies before any report when it claims a poison user,
    and is started again."""

    def __init__(self, store: UserStore, clock: HandClock, size: int, *poison: str) -> None:
        self.store, self.clock, self.poison = store, clock, set(poison)
        self.ids = [f"{number:06x}" for number in range(size)]
        self.deaths = 0
        self.always_dies = False

    async def run_for(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.tick()

    async def tick(self) -> list[Claim]:
        """Let a second pass, and fetch all users that are due. Returns their claims."""
        schedule = self.store.schedule
        self.clock.advance(1.0)
        claims = await schedule.claim(await schedule.lease(1000), "worker")
        for claim in claims:
            if is_poison(claim.abandoned):
                parked = claim.state._replace(failures=1, parked="poison")
                await schedule.report([reported(claim, parked)], {})
        fetched = [claim for claim in claims if not is_poison(claim.abandoned)]
        if fetched and (self.always_dies or self.poison & {one.cloud_id for one in fetched}):
            self.deaths += 1
            await schedule.free("worker")
        else:
            await schedule.report([reported(claim) for claim in fetched], {})
        return claims

    async def parked(self) -> set[str]:
        return {
            stored.user.cloud_id
            async for page in self.store.users.all()
            for stored in page
            if stored.state.parked
        }


@pytest.mark.parametrize("size", [1, 2, 30, 200, 900])
async def test_a_poison_user_is_parked_after_few_deaths_and_no_other_user_is(
    store: UserStore, clock: HandClock, size: int
) -> None:
    fleet = Fleet(store, clock, size, "000000")
    await add(store, *fleet.ids)
    await fleet.run_for(90)
    assert await fleet.parked() == {"000000"}
    assert fleet.deaths <= PARKED_AFTER_DEATHS + 5
    others = await claimed(store, *fleet.ids[1:])
    assert {claim.abandoned for claim in others} <= {0}
    await store.schedule.report([reported(claim) for claim in others], {})


async def test_a_poison_user_that_is_added_again_is_fetched_again(
    store: UserStore, clock: HandClock
) -> None:
    fleet = Fleet(store, clock, 2, "000000")
    await add(store, *fleet.ids)
    await fleet.run_for(60)
    fleet.poison.clear()
    await add(store, "000000")
    await fleet.run_for(7)
    assert await fleet.parked() == set()
    assert await due_of(store, "000000") is not None


async def test_two_poison_users_of_one_message_are_both_parked(
    store: UserStore, clock: HandClock
) -> None:
    fleet = Fleet(store, clock, 60, "000007", "000033")
    await add(store, *fleet.ids)
    await fleet.run_for(150)
    assert await fleet.parked() == {"000007", "000033"}
    assert fleet.deaths <= 2 * PARKED_AFTER_DEATHS + 3


async def test_a_worker_that_always_dies_parks_nobody(store: UserStore, clock: HandClock) -> None:
    """It may be killed by hand, or because memory is short. All users are fetched afterwards."""
    fleet = Fleet(store, clock, 20)
    await add(store, *fleet.ids)
    fleet.always_dies = True
    await fleet.run_for(300)
    assert fleet.deaths > 40
    fleet.always_dies = False
    await fleet.run_for(20)
    assert await fleet.parked() == set()
    assert {claim.abandoned for claim in await claimed(store, *fleet.ids)} == {0}


async def test_a_worker_that_always_dies_parks_no_user_of_its_queue(
    store: UserStore, clock: HandClock
) -> None:
    """It alone fetches the users of this queue: a quarter of all users."""
    ids = [f"{number:06x}" for number in range(40)]
    await add(store, *ids)
    for _ in range(300):
        clock.advance(1.0)
        claims = await store.schedule.claim(await store.schedule.lease(1000), "dies")
        others = [claim for claim in claims if int(claim.cloud_id, 16) % 4]
        await store.schedule.report([reported(claim) for claim in others], {})
        await store.schedule.free("dies")
    claims = await claimed(store, *ids)
    assert not any(is_poison(claim.abandoned) for claim in claims)
    await store.schedule.report([reported(claim) for claim in claims], {})


async def test_many_suspects_are_cleared_in_little_more_than_a_minute(
    store: UserStore, clock: HandClock
) -> None:
    """One at a time, these would take more than eight minutes. The last sixty are."""
    fleet = Fleet(store, clock, 500)
    await add(store, *fleet.ids)
    fleet.always_dies = True
    await fleet.run_for(2)
    fleet.always_dies = False
    fetched = {claim.cloud_id for _ in range(75) for claim in await fleet.tick()}
    assert fetched == set(fleet.ids)


async def test_a_suspect_waits_while_another_one_is_fetched(
    store: UserStore, clock: HandClock
) -> None:
    fleet = Fleet(store, clock, 10)
    await add(store, *fleet.ids)
    for _ in range(2):
        suspects = await claimed(store, "000001", "000002", "000003", holder="dies")
        await store.schedule.free("dies")
    assert {claim.abandoned for claim in suspects} == {1}
    assert len(await store.schedule.lease(10)) == 7
    clock.advance(LONGEST_REST_S)
    assert await store.schedule.lease(10) == ["000001"]
    [claim] = await store.schedule.claim(["000001"], "worker")
    clock.advance(LONGEST_REST_S)
    assert set(await store.schedule.lease(10)).isdisjoint({"000002", "000003"})
    await store.schedule.report([reported(claim)], {})
    clock.advance(LONGEST_REST_S)
    assert "000002" in await store.schedule.lease(10)


async def test_suspects_whose_messages_no_worker_takes_do_not_have_every_turn(
    store: UserStore, clock: HandClock
) -> None:
    """Their queue has lost its worker. A suspect of another queue is fetched all the same."""
    stuck = {"000001", "000002", "000003"}
    await add(store, *(f"{number:06x}" for number in range(30)))
    for _ in range(2):
        await claimed(store, *sorted(stuck), "00001d", holder="dies")
        await store.schedule.free("dies")
    for _ in range(600):
        clock.advance(1.0)
        leased = set(await store.schedule.lease(1000))
        claims = await store.schedule.claim(sorted(leased - stuck), "worker")
        await store.schedule.report([reported(claim) for claim in claims], {})
        if "00001d" in leased:
            return
    pytest.fail("this suspect was never fetched")
