"""What is logged, and that state moves on only then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.readings import Flag
from eagle_logger.core.users import Credentials
from eagle_logger.errors import (
    DiskUnavailable,
    RedisUnavailable,
)
from eagle_logger.rainforest.source import Decoded
from eagle_logger.users.store import Report, ReportResult
from tests.support.polling import until
from tests.support.scripted_relay import demand, holding
from tests.unit.fetching.world import HOME, OTHER, World, claimed


async def test_what_a_gateway_says_is_on_disk_and_the_user_is_due_again(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.now())
    world.relay.always(HOME, demand(now))
    outcome = await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 fetched"
    [line] = [parse_line(line.rstrip()) for line in world.logs.all]
    assert (line.cloud_id, line.time, str(line.data["value"]), line.data["unit"]) == (
        HOME,
        now,
        "0.944",
        "kW",
    )
    stored = await world.store.get(HOME)
    assert stored is not None
    assert (stored.state.total_events_logged, stored.state.last_timestamp, stored.lease_ends) == (
        1,
        now,
        None,
    )
    assert stored.due is not None
    assert 0 < stored.due - now <= 7


async def test_the_same_reading_again_is_not_logged_again(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    for _ in range(3):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert len(world.logs.all) == 1
    assert (await world.store.tally())["readings_logged"] == 1


async def test_state_does_not_move_before_the_line_is_on_disk(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    leased = await world.lease(HOME)
    asked = asyncio.Event()
    scripted = world.relay.answers[HOME]

    async def fill_the_disk(credentials: Credentials, kind: Kind) -> Decoded:
        world.logs.full.set()
        asked.set()
        return await scripted(credentials, kind)

    world.relay.answers[HOME] = fill_the_disk
    visit = asyncio.create_task(world.logger.get_new_rainforest_data(leased))
    await asyncio.to_thread(world.logs.refused.wait, 10)
    assert asked.is_set()
    stored = await world.store.get(HOME)
    assert stored is not None
    assert stored.state.total_events_logged == 0
    world.logs.full.clear()
    await visit
    assert len(world.logs.all) == 1, "what was read while the disk was full is not lost"
    stored = await world.store.get(HOME)
    assert stored is not None
    assert stored.state.total_events_logged == 1


async def test_nobody_is_asked_while_nothing_can_be_written(world: World) -> None:
    await world.add(HOME)
    world.logs.full.set()
    with pytest.raises(DiskUnavailable):
        await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert world.relay.asked == {}
    world.logs.full.clear()
    assert str(await world.logger.get_new_rainforest_data([HOME])) == "1 user, 1 fetched", (
        "and it resumes by itself"
    )


async def test_what_was_read_before_the_lease_was_lost_is_logged_all_the_same(world: World) -> None:
    await world.add(HOME)
    [claim] = await world.store.claim(await world.lease(HOME), "fetch-1")
    world.relay.always(HOME, demand(int(await world.store.now())))
    visit = await world.logger.fetch_data(claim)
    await world.store.remove(HOME)
    await world.logger.update_user_info([visit])
    assert len(world.logs.all) == 1


async def test_redis_away_at_the_end_loses_no_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        raise RedisUnavailable

    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.now())))
    leased = await world.lease(HOME)
    monkeypatch.setattr(world.store, "report", away)
    with capture_logs() as logged:
        await world.logger.get_new_rainforest_data(leased)
    assert len(world.logs.all) == 1
    assert [line["cloud_ids"] for line in logged if line["event"] == "state not written"] == [
        [HOME]
    ]


async def test_a_reading_from_another_hour_is_filed_there(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.now())
    world.relay.always(HOME, demand(now), demand(now - 5 * 3600), demand(now + 5 * 3600))
    await world.logger.get_new_rainforest_data(await world.lease(HOME))
    assert {hour for _, hour in world.logs.lines} == {
        Hour.of(now),
        Hour.of(now - 18000),
        Hour.of(now + 18000),
    }
    [ahead] = world.logs.lines[HOME, Hour.of(now + 18000)]
    assert Flag.FUTURE in parse_line(ahead.rstrip()).flags


async def test_a_disk_without_room_is_told_though_nothing_waits_to_be_written(world: World) -> None:
    await world.add(HOME)
    world.logs.full.set()
    leased = await world.lease(HOME)
    with pytest.raises(DiskUnavailable):
        await world.logger.get_new_rainforest_data(leased)
    assert world.logger.disk_trouble == "no space left"
    world.logs.full.clear()
    assert str(await world.logger.get_new_rainforest_data(leased)).startswith("1 user, 1 fetched")
    assert world.logger.disk_trouble is None


async def test_nothing_more_is_asked_once_it_could_not_be_kept(world: World) -> None:
    """Of one visit that has begun: another's readings found the disk full meanwhile."""
    await world.add(HOME, OTHER)
    worker = world.worker("fetch-2", intervals=dict.fromkeys(Kind, 6.0))
    world.relay.always(OTHER, demand(int(await world.store.now())))
    gone_on = asyncio.Event()

    async def answer(_: Credentials, __: Kind) -> Decoded:
        world.logs.full.set()
        asked_on.append(asyncio.create_task(worker.update_user_info([other])))
        await until(lambda: worker.disk_trouble is not None)
        gone_on.set()
        return holding()

    asked_on: list[asyncio.Task[list[bool]]] = []
    [claim, second] = [claim for one in (HOME, OTHER) for claim in await claimed(world, one)]
    other = await world.logger.fetch_data(second)
    world.relay.answers[HOME] = answer
    visit = await worker.fetch_data(claim)
    assert gone_on.is_set()
    assert (visit.requests, visit.outcome) == (1, "fetched")
    world.logs.full.clear()
    await asyncio.gather(*asked_on)
    await worker.close()
