"""Who is due is leased, and a worker claims it."""

from __future__ import annotations

from eagle_logger.core.users import UserState
from eagle_logger.users.store import UserStore
from tests.contract.users.conftest import LEASE
from tests.contract.users.scheduling import add, claimed, lease_of, reported
from tests.support.hand_clock import HandClock
from tests.support.users import new_user


async def test_a_new_user_is_due_at_once(store: UserStore) -> None:
    await add(store, "00ce69")
    assert await store.schedule.lease(10) == ["00ce69"]
    assert await store.schedule.lease(10) == []


async def test_the_longest_due_users_are_leased_first(store: UserStore, clock: HandClock) -> None:
    for cloud_id in ("000003", "000001", "000002"):
        await add(store, cloud_id)
        clock.advance(1)
    assert await store.schedule.lease(2) == ["000003", "000001"]
    assert await store.schedule.lease(2) == ["000002"]


async def test_one_call_leases_more_users_than_one_script_run(
    store: UserStore, clock: HandClock
) -> None:
    await store.users.put([new_user(f"{number:06x}") for number in range(2500)])
    clock.advance(6)
    leased = await store.schedule.lease(10_000)
    assert sorted(leased) == [f"{number:06x}" for number in range(2500)]
    assert (await store.fleet.totals()).leased == 2500


async def test_a_batch_of_new_users_does_not_fall_due_at_once(
    store: UserStore, clock: HandClock
) -> None:
    await store.users.put([new_user(f"{number:06x}") for number in range(1001)])
    per_step = []
    for _ in range(10):
        clock.advance(0.1)
        per_step.append(len(await store.schedule.lease(2000)))
    assert sum(per_step) == 1001
    assert max(per_step) < 200


async def test_leases_that_end_before_a_worker_claims_them_are_counted(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "000001", "000002", "000003")
    assert len(await store.schedule.lease(3)) == 3
    await store.schedule.claim(["000002"], "worker")
    clock.advance(LEASE)
    assert len(await store.schedule.lease(3)) == 3
    assert await store.fleet.tally() == {"leases_unclaimed": 2}


async def test_a_lease_is_new_for_a_quarter_of_it_after_it_was_given_or_renewed(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "000001", "000002")
    assert len(await store.schedule.lease(2)) == 2
    clock.advance(LEASE / 4)
    assert (await store.fleet.totals()).newly_leased == 2
    await store.schedule.claim(["000002"], "worker")
    clock.advance(LEASE / 8)
    totals = await store.fleet.totals()
    assert (totals.leased, totals.newly_leased) == (2, 1)
    clock.advance(LEASE / 4)
    assert (await store.fleet.totals()).newly_leased == 0


async def test_a_user_whose_lease_ends_is_due_since_it_first_fell_due(
    store: UserStore, clock: HandClock
) -> None:
    fell_due = clock.now()
    await add(store, "00ce69")
    clock.advance(3)
    assert await store.schedule.lease(1) == ["00ce69"]
    assert await store.schedule.lease(1) == []
    clock.advance(LEASE)
    assert await store.schedule.lease(1) == ["00ce69"]
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    assert claim.due == fell_due


async def test_one_call_gives_back_no_more_ended_leases_than_its_limit(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, *(f"{number:06x}" for number in range(5)))
    assert len(await store.schedule.lease(5)) == 5
    clock.advance(LEASE)
    assert len(await store.schedule.lease(2)) == 2
    totals = await store.fleet.totals()
    # Two were given back and leased again. Three have not been looked at yet.
    assert (totals.leased, totals.due) == (5, 0)
    assert len(await store.schedule.lease(5)) == 3


async def test_a_claim_carries_credentials_state_and_times(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    due = clock.now()
    await store.schedule.lease(1)
    clock.advance(0.25)
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    assert (claim.due, claim.claimed_at, claim.last_request) == (due, due + 0.25, None)
    assert claim.credentials == new_user("00ce69").credentials
    assert claim.state == UserState()
    assert await lease_of(store, "00ce69") == due + 0.25 + LEASE


async def test_only_a_leased_user_without_a_claim_can_be_claimed(store: UserStore) -> None:
    await add(store, "000001", "000002")
    assert await store.schedule.claim(["000001", "ffffff"], "worker") == []
    await store.schedule.request(["000001"])
    assert len(await store.schedule.claim(["000001", "000001", "000002"], "worker")) == 1
    assert await store.schedule.claim(["000001"], "worker") == []


async def test_a_message_delivered_twice_finds_nothing_to_claim(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    assert await store.schedule.claim(["00ce69"], "another") == []
    await store.schedule.report([reported(claim)], {})
    assert await store.schedule.claim(["00ce69"], "another") == []


async def test_claims_that_end_without_a_report_are_counted(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    for abandoned in range(4):
        assert await store.schedule.lease(1) == ["00ce69"]
        [claim] = await store.schedule.claim(["00ce69"], "worker")
        assert claim.abandoned == abandoned
        if abandoned < 3:
            clock.advance(LEASE)
            assert await store.schedule.lease(1) == ([] if abandoned else ["00ce69"]), (
                "a suspect rests first"
            )
            clock.advance(15.0 if abandoned else LEASE)
    await store.schedule.report([reported(claim)], {})
    assert (await claimed(store, "00ce69"))[0].abandoned == 0
