"""Users whose worker dies, or who are removed, added again or updated while they are fetched."""

from __future__ import annotations

from eagle_logger.core.schedule import next_due
from eagle_logger.core.users import UserState
from eagle_logger.users.store import UserStore
from tests.contract.users.conftest import LEASE
from tests.contract.users.scheduling import GRID, add, claimed, due_of, reported
from tests.support.hand_clock import HandClock
from tests.support.users import new_user


async def test_the_users_of_a_dead_worker_are_due_again_at_once(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, *(f"{number:06x}" for number in range(1200)))
    ids = await store.schedule.lease(1200)
    await store.schedule.claim(ids[:1100], "dead")
    [other] = await store.schedule.claim(ids[1100:1101], "alive")
    assert sorted(await store.schedule.free("dead")) == sorted(ids[:1100])
    assert await store.schedule.free("dead") == []
    assert sorted(await store.schedule.lease(2000)) == sorted(ids[:1100])
    assert await store.schedule.begin([other]) == {other.cloud_id}


async def test_a_freed_user_counts_as_asked_until_it_was_freed(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    claims = await claimed(store, "00ce69", holder="dead")
    await store.schedule.begin(claims)
    freed = clock.advance(0.5)
    await store.schedule.free("dead")
    assert await store.schedule.begin(claims) == frozenset()
    clock.advance(0.5)
    [claim] = await claimed(store, "00ce69")
    assert (claim.last_request, claim.begun) == (freed, False)


async def test_a_report_about_a_removed_user_is_lost(store: UserStore) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    assert await store.users.remove("00ce69")
    assert await store.schedule.begin([claim]) == frozenset()
    assert (await store.schedule.report([reported(claim)], {})).lost == {"00ce69"}
    assert await store.users.get("00ce69") is None
    assert (await store.fleet.totals()).users == 0


async def test_a_user_removed_during_a_fetch_and_added_again_waits_for_the_lease_to_end(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [old] = await claimed(store, "00ce69")
    await store.schedule.begin([old])
    began = clock.now()
    clock.advance(1)
    await store.users.remove("00ce69")
    await add(store, "00ce69")
    assert await store.schedule.begin([old]) == frozenset()
    assert (await store.schedule.report([reported(old)], {})).lost == {"00ce69"}
    assert await store.schedule.lease(1) == []
    assert (await store.schedule.request(["00ce69"])).leased == ()
    assert await store.schedule.claim(["00ce69"], "worker") == []
    clock.advance(LEASE - 1)
    assert await store.schedule.lease(1) == ["00ce69"]
    [new] = await store.schedule.claim(["00ce69"], "worker")
    assert new.token != old.token
    assert new.last_request == began


async def test_a_user_removed_while_idle_and_added_again_keeps_the_time_of_its_last_request(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    claims = await claimed(store, "00ce69")
    await store.schedule.begin(claims)
    await store.schedule.report([reported(claims[0])], {})
    began = clock.now()
    clock.advance(0.25)
    await store.users.remove("00ce69")
    await add(store, "00ce69")
    assert (await claimed(store, "00ce69"))[0].last_request == began


async def test_a_refusal_of_old_credentials_does_not_park_a_user_updated_meanwhile(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.users.put([new_user("00ce69", "a-better-password")])
    refused = UserState(total_events_logged=1, failures=3, last_error="refused", parked="refused")
    answer = await store.schedule.report([reported(claim, refused, pause=300.0)], {})
    assert answer.lost == frozenset()
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.state == UserState(total_events_logged=1)
    assert stored.due == next_due(clock.now(), GRID)


async def test_a_request_after_an_update_tries_the_new_credentials(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.users.put([new_user("00ce69", "a-better-password")])
    await store.schedule.request(["00ce69"])
    assert (await store.schedule.report([reported(claim)], {})).again == frozenset()
    assert await store.schedule.lease(1) == ["00ce69"]


async def test_an_update_ends_a_pause(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report(
        [reported(claim, UserState(failures=9, last_error="busy"), pause=300.0)], {}
    )
    await add(store, "00ce69")
    assert await due_of(store, "00ce69") == clock.now()
    await store.schedule.lease(1)
    await add(store, "00ce69")
    assert await due_of(store, "00ce69") is None
