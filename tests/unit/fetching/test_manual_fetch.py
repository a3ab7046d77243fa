"""`fetch_now` takes the same steps as a worker, and blames no user."""

from __future__ import annotations

import asyncio

import pytest

from eagle_logger.core.schedule import Grid
from eagle_logger.errors import EagleError, Refused, RelayUnavailable, UnknownUser
from eagle_logger.fetching.manual_fetch import fetch_now
from eagle_logger.users.store import Report
from tests.support.scripted_relay import demand
from tests.unit.fetching.world import HOME, World


async def test_a_manual_fetch_logs_what_is_new(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    visit = await fetch_now(world.logger, world.store, HOME, dry_run=False, patience=5)
    assert (visit.outcome, len(visit.readings), len(world.logs.all)) == ("fetched", 1, 1)


async def test_a_dry_run_returns_the_readings_and_changes_nothing(world: World) -> None:
    await world.add(HOME)
    before = await world.stored(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    visit = await fetch_now(world.logger, world.store, HOME, dry_run=True, patience=5)
    after = await world.stored(HOME)
    assert len(visit.readings) == 1
    assert world.logs.all == []
    assert (after.state, after.lease_ends) == (before.state, None)


async def test_a_manual_fetch_waits_while_a_worker_fetches_the_user(world: World) -> None:
    await world.add(HOME)
    [claim] = await world.store.schedule.claim(await world.lease(HOME), "fetch-9")
    fetch = asyncio.create_task(
        fetch_now(world.logger, world.store, HOME, dry_run=False, patience=5, poll_every=0.01)
    )
    for _ in range(5):
        await asyncio.sleep(0)
    assert not fetch.done()
    await world.store.schedule.report([Report(HOME, claim.token, claim.state, Grid(6.0, 0.0))], {})
    assert (await fetch).outcome == "fetched"


async def test_a_manual_fetch_of_an_unknown_or_parked_user_raises(world: World) -> None:
    with pytest.raises(UnknownUser, match=HOME):
        await fetch_now(world.logger, world.store, HOME, dry_run=False, patience=1)
    await world.add(HOME)
    [claim] = await world.store.schedule.claim(await world.lease(HOME), "fetch-9")
    parked = claim.state._replace(parked="refused")
    await world.store.schedule.report([Report(HOME, claim.token, parked, Grid(6.0, 0.0))], {})
    with pytest.raises(EagleError, match="parked"):
        await fetch_now(world.logger, world.store, HOME, dry_run=False, patience=1)


@pytest.mark.parametrize(
    "failure", [Refused("bad password"), RelayUnavailable("nobody there", reason="connection")]
)
async def test_a_failed_manual_fetch_does_not_count_as_the_users_failure(
    world: World, failure: Exception
) -> None:
    await world.add(HOME)
    before = await world.stored(HOME)
    world.relay.fails(HOME, failure)
    for _ in range(3):
        visit = await fetch_now(world.logger, world.store, HOME, dry_run=False, patience=1)
        assert str(failure) in (visit.state.last_error or "")
    assert (await world.stored(HOME)).state == before.state
    assert "failed_fetches" not in await world.store.fleet.tally()
