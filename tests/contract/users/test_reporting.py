"""What a report does: it writes the state, sets the next turn and counts missed turns."""

from __future__ import annotations

import pytest

from eagle_logger.core.schedule import Grid, missed_turns, next_due
from eagle_logger.core.users import UserState
from eagle_logger.users.store import UserStore
from tests.contract.users.scheduling import GRID, add, claimed, due_of, reported
from tests.support.hand_clock import HandClock
from tests.support.set_membership import breaches
from tests.support.users import lived_in_state, new_user


async def test_a_report_writes_the_state_and_sets_the_next_turn(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    state = lived_in_state()._replace(failures=1, last_error="timed_out")
    answer = await store.schedule.report(
        [reported(claim, state)], {"fetches": 1, "readings_logged": 3}
    )
    assert (answer.again, answer.lost, answer.missed_turns) == (frozenset(), frozenset(), 0)
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.state == state
    assert stored.due == next_due(clock.now(), GRID)
    assert await store.fleet.tally() == {"fetches": 1, "readings_logged": 3}
    assert (await claimed(store, "00ce69"))[0].state == state


async def test_a_successful_visit_clears_failures(store: UserStore) -> None:
    await add(store, "00ce69", "002738")
    failed, also_failed = await claimed(store, "00ce69", "002738")
    state = lived_in_state()._replace(failures=2, last_error="timed_out")
    await store.schedule.report([reported(failed, state), reported(also_failed, state)], {})
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim, lived_in_state())], {})
    [claim, other] = await claimed(store, "00ce69", "002738")
    assert (claim.state, other.state) == (lived_in_state(), state)
    assert (await store.fleet.totals()).failing == 1


async def test_the_next_turn_lies_after_now_never_at_now(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    await store.schedule.report([reported(claim, grid=Grid(6.0, clock.now()))], {})
    assert await due_of(store, "00ce69") == clock.now() + 6


async def test_missed_turns_are_counted_and_not_made_up(store: UserStore, clock: HandClock) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    await store.schedule.report([reported((await claimed(store, "00ce69"))[0], grid=grid)], {})
    clock.advance(6 + 12 + 1)
    assert await store.schedule.lease(1) == ["00ce69"]
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    answer = await store.schedule.report([reported(claim, grid=grid)], {})
    assert answer.missed_turns == 2
    assert (await store.fleet.tally())["missed_turns"] == 2
    assert await due_of(store, "00ce69") == clock.now() - 1 + 6


@pytest.mark.parametrize("phase", [0.0, 1.0, 4.9, 5.9])
async def test_a_user_that_was_never_visited_has_missed_no_turn(
    store: UserStore, clock: HandClock, phase: float
) -> None:
    grid = Grid(6.0, clock.now() + phase)
    await add(store, "00ce69")
    clock.advance(30)
    await store.schedule.lease(1)
    clock.advance(3)
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    clock.advance(4.8)
    assert (await store.schedule.report([reported(claim, grid=grid)], {})).missed_turns == 0
    clock.advance(6)
    [claim] = await claimed(store, "00ce69")
    clock.advance(12)
    assert (await store.schedule.report([reported(claim, grid=grid)], {})).missed_turns == 2


async def test_a_fetch_requested_early_is_no_missed_turn(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    grid = Grid(6.0, clock.now())
    await store.schedule.report([reported((await claimed(store, "00ce69"))[0], grid=grid)], {})
    requested = clock.advance(5.9)
    await store.schedule.request(["00ce69"])
    clock.advance(0.05)
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    assert claim.due == requested
    clock.advance(0.25)
    assert (await store.schedule.report([reported(claim, grid=grid)], {})).missed_turns == 0


async def test_a_pause_is_respected_and_is_no_missed_turn(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    clock.advance(30)
    answer = await store.schedule.report([reported(claim, pause=100.0)], {})
    assert answer.missed_turns == 0
    due = await due_of(store, "00ce69")
    assert due == next_due(clock.now() + 100, GRID)


async def test_a_parked_user_is_in_neither_set_until_it_is_updated(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    refused = UserState(total_events_logged=5, failures=3, last_error="refused", parked="refused")
    await store.schedule.report([reported(claim, refused)], {})
    assert (await store.fleet.totals()).parked == 1
    assert (await store.schedule.request(["00ce69"])).parked == ("00ce69",)
    clock.advance(1e6)
    assert await store.schedule.lease(1) == []
    assert await breaches(store.users) == []
    await store.users.put([new_user("00ce69", "a-better-password")])
    assert await store.schedule.lease(1) == ["00ce69"]
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    assert claim.state == UserState(total_events_logged=5)
    assert claim.credentials
    assert claim.credentials.user_pw == "a-better-password"


async def test_each_report_of_a_batch_has_a_result_of_its_own(store: UserStore) -> None:
    await add(store, "000001", "000002", "000003", "000004")
    accepted, requested, removed, parked = await claimed(
        store, "000001", "000002", "000003", "000004"
    )
    await store.schedule.request(["000002"])
    await store.users.remove("000003")
    reports = [reported(claim) for claim in (accepted, requested, removed)]
    reports.append(reported(parked, UserState(parked="refused")))
    answer = await store.schedule.report(reports, {})
    assert answer.again == {"000002"}
    assert answer.lost == {"000003"}
    totals = await store.fleet.totals()
    assert (totals.users, totals.due, totals.leased, totals.parked) == (3, 1, 1, 1)


@pytest.mark.parametrize("late", [0.0, 5.999999, 6.0, 6.000001, 17.3, 1e6])
async def test_due_times_are_reckoned_as_in_core_schedule(
    store: UserStore, clock: HandClock, late: float
) -> None:
    grid = Grid(6.0, 0.7)
    await add(store, "00ce69")
    due = clock.now()
    await store.schedule.lease(1)
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    now = clock.advance(late)
    answer = await store.schedule.report([reported(claim, grid=grid)], {})
    assert answer.missed_turns == missed_turns(due, now, grid)
    assert await due_of(store, "00ce69") == next_due(now, grid)
