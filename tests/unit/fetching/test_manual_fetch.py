"""Fetching by hand goes the same way."""

from __future__ import annotations

import asyncio

import pytest

from eagle_logger.core.cadence import Grid
from eagle_logger.errors import (
    EagleError,
    Refused,
    RelayUnavailable,
    UnknownUser,
)
from eagle_logger.fetching.manual_fetch import fetch_now
from eagle_logger.users.store import Report
from tests.support.scripted_relay import demand
from tests.unit.fetching.world import HOME, World


async def test_fetching_by_hand_logs_what_is_new(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await fetch_now(world.logger, HOME, dry_run=False, patience=5)
    assert (visit.outcome, len(visit.readings), len(world.logs.all)) == ("fetched", 1, 1)


async def test_a_dry_run_shows_but_changes_nothing(world: World) -> None:
    await world.add(HOME)
    before = await world.store.get(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await fetch_now(world.logger, HOME, dry_run=True, patience=5)
    after = await world.store.get(HOME)
    assert len(visit.readings) == 1
    assert world.logs.all == []
    assert before is not None
    assert after is not None
    assert (after.state, after.lease_ends) == (before.state, None)


async def test_by_hand_waits_for_whoever_is_fetching(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.fetching.manual_fetch.POLL", 0.01)
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-9")
    by_hand = asyncio.create_task(fetch_now(world.logger, HOME, dry_run=False, patience=5))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not by_hand.done()
    await world.store.report([Report(HOME, claim.token, claim.state, Grid(6.0, 0.0))], {})
    assert (await by_hand).outcome == "fetched"


async def test_by_hand_says_what_is_wrong_with_the_user(world: World) -> None:
    with pytest.raises(UnknownUser, match=HOME):
        await fetch_now(world.logger, HOME, dry_run=False, patience=1)
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-9")
    await world.store.report(
        [Report(HOME, claim.token, claim.state._replace(parked="refused"), Grid(6.0, 0.0))], {}
    )
    with pytest.raises(EagleError, match="parked"):
        await fetch_now(world.logger, HOME, dry_run=False, patience=1)


@pytest.mark.parametrize(
    "wrong", [Refused("bad password"), RelayUnavailable("nobody there", reason="connection")]
)
async def test_a_failure_by_hand_is_not_the_users(world: World, wrong: Exception) -> None:
    await world.add(HOME)
    before = await world.store.get(HOME)
    world.relay.fails(HOME, wrong)
    for _ in range(3):
        visit = await fetch_now(world.logger, HOME, dry_run=False, patience=1)
        assert str(wrong) in (visit.state.last_error or "")
    after = await world.store.get(HOME)
    assert before is not None
    assert after is not None
    assert after.state == before.state
    assert "failed_fetches" not in await world.store.tally()
