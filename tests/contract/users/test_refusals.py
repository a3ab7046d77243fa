"""Users whom the relay refuses: whose credentials are proven, who is parked, and who is woken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eagle_logger.core.circuit_breaker import Breaker, Phase
from eagle_logger.core.parking import PARKINGS_COUNTED_WITHIN_S
from eagle_logger.core.users import UserState
from eagle_logger.users.store import StoredUser, UserStore, WakeResult
from tests.contract.users.scheduling import add, claimed, due_of, lease_of, reported
from tests.support.hand_clock import HandClock
from tests.support.users import lived_in_state, new_user

REFUSED = UserState(failures=3, last_error="refused: 401", parked="refused: 401")
WAITING = REFUSED._replace(parked=None)
POISON = REFUSED._replace(last_error="poison: 5 died", parked="poison: 5 died")


def ids(count: int, first: int = 1) -> list[str]:
    return [f"{number:06x}" for number in range(first, first + count)]


async def refuse(
    store: UserStore, *cloud_ids: str, state: UserState = REFUSED, pause: float = 300.0
) -> None:
    claims = await claimed(store, *cloud_ids)
    await store.schedule.report([reported(claim, state, pause=pause) for claim in claims], {})


async def parked(store: UserStore) -> list[str]:
    return [
        one.user.cloud_id async for page in store.users.all() for one in page if one.state.parked
    ]


# Whose credentials are proven -----------------------------------------------------------------


async def is_unproven(store: UserStore) -> bool:
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim)], {})
    return claim.unproven


async def answer(store: UserStore) -> None:
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim, lived_in_state())._replace(answered=True)], {})


async def test_credentials_are_unproven_until_the_relay_has_answered(store: UserStore) -> None:
    await add(store, "00ce69")
    assert await is_unproven(store)
    await answer(store)
    assert not await is_unproven(store)
    await add(store, "00ce69")
    assert await is_unproven(store), "another password may be mistyped"


async def test_an_answer_to_the_old_credentials_proves_nothing_of_the_new_ones(
    store: UserStore,
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await add(store, "00ce69")
    await store.schedule.report([reported(claim)._replace(answered=True)], {})
    assert await is_unproven(store)


async def test_a_restored_state_proves_its_credentials(store: UserStore) -> None:
    await add(store, "00ce69")
    await answer(store)
    exported = await store.users.get("00ce69")
    assert exported
    await store.users.remove("00ce69")
    await store.users.restore([exported])
    assert not await is_unproven(store)
    await store.users.restore([exported])
    assert await is_unproven(store), "the state here may belong to other credentials"


# Who is parked --------------------------------------------------------------------------------


async def test_three_refused_users_of_a_small_fleet_are_parked_and_four_are_not(
    store: UserStore, clock: HandClock
) -> None:
    fleet = ids(20)
    await add(store, *fleet)
    await refuse(store, *fleet[:3])
    assert await parked(store) == fleet[:3]
    assert (await store.fleet.totals()).refused == 0
    clock.advance(PARKINGS_COUNTED_WITHIN_S - 1)
    await refuse(store, fleet[3])
    assert await parked(store) == []
    fourth = await due_of(store, fleet[3])
    assert fourth is not None
    assert clock.now() + 300 < fourth <= clock.now() + 306
    assert [await due_of(store, one) for one in fleet[:3]] == [clock.now()] * 3
    stored = await store.users.get(fleet[3])
    assert stored
    assert stored.state == WAITING
    totals = await store.fleet.totals()
    assert (totals.parked, totals.failing, totals.refused) == (0, 1, 1)


async def test_four_refusals_in_one_report_park_nobody(store: UserStore, clock: HandClock) -> None:
    await add(store, *ids(20))
    await refuse(store, *ids(4))
    assert await parked(store) == []
    assert [due > clock.now() + 300 for one in ids(4) if (due := await due_of(store, one))] == [
        True
    ] * 4
    assert (await store.fleet.totals()).refused == 4


async def test_refusals_more_than_ten_minutes_apart_are_believed(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, *ids(20))
    await refuse(store, *ids(3))
    clock.advance(PARKINGS_COUNTED_WITHIN_S)
    await refuse(store, *ids(3, first=4))
    assert await parked(store) == ids(6)


async def test_a_twentieth_of_a_large_fleet_may_be_parked_together(store: UserStore) -> None:
    await store.users.put([new_user(one) for one in ids(100)])
    await refuse(store, *ids(5))
    assert await parked(store) == ids(5)
    await refuse(store, "000006")
    assert await parked(store) == []


async def test_a_poison_user_is_parked_however_many_users_are_refused(store: UserStore) -> None:
    await add(store, *ids(20))
    await refuse(store, "000014", state=POISON)
    await refuse(store, *ids(4))
    assert await parked(store) == ["000014"]


async def test_while_the_breaker_is_open_a_refused_user_waits_only_for_its_turn(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    await store.fleet.set_breaker(Breaker(Phase.OPEN))
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report(
        [reported(claim, WAITING, pause=300.0)._replace(blames_relay=True)], {}
    )
    due = await due_of(store, "00ce69")
    assert due is not None
    assert due <= clock.now() + 6
    assert (await store.fleet.totals()).refused == 0


async def test_a_refused_user_counts_as_refused_until_its_next_change(store: UserStore) -> None:
    await add(store, *ids(5))
    await refuse(store, *ids(5), state=WAITING)
    assert (await store.fleet.totals()).refused == 5
    await refuse(store, "000001", state=UserState())
    await refuse(store, "000002", state=UserState(failures=1, last_error="busy"))
    await add(store, "000003")
    await store.users.remove("000004")
    assert (await store.fleet.totals()).refused == 1
    await store.schedule.wake(["000005"])
    assert (await store.fleet.totals()).refused == 0


# Who is woken ---------------------------------------------------------------------------------


async def test_a_woken_user_keeps_its_state_and_credentials(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    state = lived_in_state()._replace(failures=3, last_error="refused", parked="refused")
    await refuse(store, "00ce69", state=state)
    before = await store.users.get("00ce69")
    assert before
    assert await store.schedule.wake(["00ce69"]) == WakeResult(woken=("00ce69",))
    after = await store.users.get("00ce69")
    assert after == replace(before, state=lived_in_state(), due=clock.now())
    assert await store.schedule.lease(10) == ["00ce69"]


@pytest.mark.parametrize("state", [WAITING, UserState(failures=9, last_error="timed_out")])
async def test_a_user_that_waits_after_failures_can_be_woken(
    store: UserStore, clock: HandClock, state: UserState
) -> None:
    await add(store, "00ce69")
    await refuse(store, "00ce69", state=state, pause=3600.0)
    assert await store.schedule.wake(["00ce69"]) == WakeResult(woken=("00ce69",))
    stored = await store.users.get("00ce69")
    assert stored
    assert (stored.due, stored.state.failures, stored.state.last_error) == (clock.now(), 0, None)


async def test_waking_a_user_that_is_awake_changes_nothing(store: UserStore) -> None:
    await add(store, "000001", "000002", "000003")
    await refuse(store, "000001", state=UserState(), pause=0.0)
    await refuse(store, "000002", state=WAITING)
    await claimed(store, "000002")
    before = [await due_of(store, "000001"), await lease_of(store, "000002")]
    woken = await store.schedule.wake(["000001", "000002", "ffffff", "000001"])
    assert woken == WakeResult(awake=("000001", "000002"), unknown=("ffffff",))
    assert [await due_of(store, "000001"), await lease_of(store, "000002")] == before


async def test_many_woken_users_fall_due_spread(store: UserStore, clock: HandClock) -> None:
    many = ids(1500)
    await store.users.put([new_user(one) for one in many])
    await refuse(store, *many)
    assert await parked(store) == []
    assert len((await store.schedule.wake(many)).woken) == 1500
    stored: list[StoredUser] = [one async for page in store.users.all() for one in page]
    waits = [one.due - clock.now() for one in stored if one.due is not None]
    assert 0 <= min(waits) < 0.1
    assert 1.3 < max(waits) < 1.5
