"""A request to a gateway begins only under a lease, and not too soon after another one."""

from __future__ import annotations

import pytest

from eagle_logger.core.schedule import REQUEST_GAP
from eagle_logger.core.users import UserState
from eagle_logger.users.store import UserStore
from tests.contract.users.conftest import LEASE
from tests.contract.users.scheduling import add, claimed, lease_of, reported
from tests.support.hand_clock import HandClock


async def test_begin_renews_the_lease_and_records_the_request(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    began = clock.advance(15)
    assert await store.schedule.begin([claim]) == {"00ce69"}
    assert await lease_of(store, "00ce69") == began + LEASE
    await store.schedule.report([reported(claim)], {})
    clock.advance(0.125)
    [after] = await claimed(store, "00ce69")
    assert after.last_request == began


@pytest.mark.parametrize(("later", "begun"), [(REQUEST_GAP, True), (REQUEST_GAP - 0.125, False)])
async def test_a_claim_begins_a_request_unless_another_one_began_a_moment_ago(
    store: UserStore, clock: HandClock, later: float, begun: bool
) -> None:
    await add(store, "00ce69")
    [first] = await claimed(store, "00ce69")
    assert first.begun
    await store.schedule.report([reported(first)], {})
    clock.advance(later)
    [second] = await claimed(store, "00ce69")
    assert (second.last_request, second.begun) == (first.claimed_at, begun)
    await store.schedule.report([reported(second)], {})
    [third] = await claimed(store, "00ce69")
    assert third.last_request == (second if begun else first).claimed_at


async def test_a_report_records_when_its_last_request_was_written(
    store: UserStore, clock: HandClock
) -> None:
    """The connection took longer to open than the gap between two requests. The time of the claim
    would let the next request begin at once."""
    await add(store, "00ce69")
    [first] = await claimed(store, "00ce69")
    now = clock.advance(3.0)
    await store.schedule.report([reported(first)._replace(since_request=0.5)], {})
    [second] = await claimed(store, "00ce69")
    assert (second.last_request, second.begun) == (now - 0.5, False)
    clock.advance(1.0)
    await store.schedule.report([reported(second)], {})
    [third] = await claimed(store, "00ce69")
    assert third.last_request == now - 0.5, "a visit without a request changes nothing"


async def test_a_worker_whose_user_was_claimed_by_another_may_neither_begin_nor_report(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [late] = await claimed(store, "00ce69")
    clock.advance(LEASE)
    assert await store.schedule.lease(1) == ["00ce69"]
    assert await store.schedule.begin([late]) == frozenset()
    [current] = await store.schedule.claim(["00ce69"], "another")
    assert await store.schedule.begin([late, current]) == {"00ce69"}
    answer = await store.schedule.report([reported(late, UserState(total_events_logged=7))], {})
    assert answer.lost == {"00ce69"}
    stored = await store.users.get("00ce69")
    assert stored
    assert stored.state == UserState()
    assert stored.lease_ends is not None


async def test_a_worker_whose_lease_has_ended_goes_on_unless_another_one_claimed_its_user(
    store: UserStore, clock: HandClock
) -> None:
    await add(store, "00ce69")
    [claim] = await claimed(store, "00ce69")
    clock.advance(LEASE * 2)
    assert await store.schedule.begin([claim]) == {"00ce69"}
    assert (await store.schedule.report([reported(claim)], {})).lost == frozenset()
