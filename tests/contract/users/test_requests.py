"""What a request for a fetch does to a user that is idle, leased or being fetched."""

from __future__ import annotations

from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.users.store import UserStore
from tests.contract.users.conftest import LEASE
from tests.contract.users.scheduling import add, claimed, lease_of, reported
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches
from tests.support.users import new_user


async def test_a_request_leases_an_idle_user_at_once(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    await store.schedule.report([reported((await claimed(store, "00ce69"))[0])], {})
    answer = await store.schedule.request(["00ce69", "ffffff", "00ce69"])
    assert (answer.leased, answer.unknown) == (("00ce69",), ("ffffff",))
    assert len(await store.schedule.claim(["00ce69"], "worker")) == 1


async def test_many_requests_for_one_user_are_one_message(store: UserStore) -> None:
    await add(store, "000001", "000002")
    await store.schedule.lease(2)
    assert (await store.schedule.request(["000001"])).leased == ("000001",)
    for _ in range(3):
        assert (await store.schedule.request(["000001"])).marked == ("000001",)
    assert len(await store.schedule.claim(["000001"], "worker")) == 1


async def test_a_request_during_a_fetch_is_served_right_after_the_fetch(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    for _ in range(3):
        assert (await store.schedule.request(["00ce69"])).marked == ("00ce69",)
    clock.advance(2)
    state = UserState(total_events_logged=1)
    assert (await store.schedule.report([reported(claim, state)], {})).again == {"00ce69"}
    assert await lease_of(store, "00ce69") == clock.now() + LEASE
    assert await store.schedule.begin([claim]) == {"00ce69"}
    answer = await store.schedule.report(
        [reported(claim, state._replace(total_events_logged=2))], {}
    )
    assert (answer.again, answer.lost) == (frozenset(), frozenset())
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.state.total_events_logged == 2


async def test_turns_missed_before_a_second_fetch_of_one_claim_are_counted_once(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    [claim] = await claimed(store, "00ce69")
    await store.schedule.request(["00ce69"])
    clock.advance(13)
    first = await store.schedule.report([reported(claim, grid=grid)], {})
    second = await store.schedule.report([reported(claim, grid=grid)], {})
    assert (first.missed_turns, second.missed_turns) == (2, 0)


async def test_a_request_with_the_same_once_is_carried_out_once(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    assert (await store.schedule.request(["00ce69"], once="message-1")).leased == ("00ce69",)
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    for _ in range(3):
        answer = await store.schedule.request(["00ce69", "ffffff"], once="message-1")
        assert answer.seen_before
        assert (answer.leased, answer.marked, answer.unknown, answer.parked) == ((), (), (), ())
    assert (await store.schedule.report([reported(claim)], {})).again == frozenset()
    assert (await store.schedule.request(["00ce69"], once="message-2")).leased == ("00ce69",)
    await store.schedule.forget("message-2")
    assert not (await store.schedule.request(["00ce69"], once="message-2")).seen_before


async def test_a_forgotten_request_may_be_made_again_at_once(store: UserStore) -> None:
    await add(store, "00ce69", "002738", "ffffff")
    await store.schedule.request(["00ce69", "002738"], once="message")
    [held] = await store.schedule.claim(["002738"], "worker")
    await store.schedule.lease(1)  # ffffff is leased by the schedule, not for a request
    await store.schedule.forget("message", ["00ce69", "002738", "ffffff", "abcdef"])
    totals = await store.fleet.totals()
    assert (totals.due, totals.leased) == (1, 2)
    repeated = await store.schedule.request(["00ce69", "002738"], once="message")
    assert (repeated.leased, repeated.marked) == (("00ce69",), ("002738",))
    assert await store.schedule.begin([held]) == {"002738"}
    await store.schedule.forget(None, ["00ce69"])
    assert (await store.schedule.request(["00ce69"])).leased == ("00ce69",)
    assert await breaches(store.users) == []


async def test_one_request_may_name_a_thousand_users(store: UserStore) -> None:
    ids = [f"{number:06x}" for number in range(1000)]
    await store.users.put([new_user(cloud_id) for cloud_id in ids])
    assert (await store.schedule.request(ids)).leased == tuple(ids)
    claims = await store.schedule.claim(ids, "worker")
    assert len(await store.schedule.begin(claims)) == 1000
    answer = await store.schedule.report([reported(claim) for claim in claims], {})
    assert (answer.again, answer.lost) == (frozenset(), frozenset())
    assert (await store.fleet.totals()).due == 1000
