"""What a cycle logs, and that a user's state moves on only after that."""

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
from eagle_logger.errors import DiskUnavailable, RedisUnavailable
from eagle_logger.rainforest.source import Decoded
from eagle_logger.users.store import Report, ReportResult
from tests.support.polling import until
from tests.support.scripted_relay import demand, holding
from tests.unit.fetching.world import HOME, OTHER, World


async def test_a_reading_is_logged_and_its_user_falls_due_again(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.fleet.now())
    world.relay.always(HOME, demand(now))
    outcome = await world.logger.run_cycle(await world.lease(HOME))
    assert str(outcome) == "1 user, 1 fetched"
    [line] = [parse_line(line.rstrip()) for line in world.logs.all]
    assert (line.cloud_id, line.time) == (HOME, now)
    assert (str(line.data["value"]), line.data["unit"]) == ("0.944", "kW")
    stored = await world.stored(HOME)
    assert (stored.state.total_events_logged, stored.state.last_timestamp) == (1, now)
    assert stored.lease_ends is None
    assert stored.due is not None
    assert 0 < stored.due - now <= 7


async def test_a_reading_that_is_shown_again_is_logged_once(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    for _ in range(3):
        await world.logger.run_cycle(await world.lease(HOME))
    assert len(world.logs.all) == 1
    assert (await world.store.fleet.tally())["readings_logged"] == 1


async def test_state_does_not_move_before_the_line_is_on_disk(world: World) -> None:
    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    leased = await world.lease(HOME)
    asked = asyncio.Event()
    scripted = world.relay.answers[HOME]

    async def fill_the_disk(credentials: Credentials, kind: Kind) -> Decoded:
        world.logs.full.set()
        asked.set()
        return await scripted(credentials, kind)

    world.relay.answers[HOME] = fill_the_disk
    visit = asyncio.create_task(world.logger.run_cycle(leased))
    await asyncio.to_thread(world.logs.refused.wait, 10)
    assert asked.is_set()
    assert (await world.stored(HOME)).state.total_events_logged == 0
    world.logs.full.clear()
    await visit
    assert len(world.logs.all) == 1, "a reading that came while the disk was full is not lost"
    assert (await world.stored(HOME)).state.total_events_logged == 1


async def test_no_gateway_is_asked_while_the_disk_is_full(world: World) -> None:
    await world.add(HOME)
    world.logs.full.set()
    leased = await world.lease(HOME)
    with pytest.raises(DiskUnavailable):
        await world.logger.run_cycle(leased)
    assert world.logger.disk_trouble == "no space left"
    assert world.relay.asked == {}
    world.logs.full.clear()
    assert str(await world.logger.run_cycle(leased)) == "1 user, 1 fetched"
    assert world.logger.disk_trouble is None


async def test_readings_from_before_a_claim_was_lost_are_logged_all_the_same(world: World) -> None:
    await world.add(HOME)
    claim = await world.claim(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    visit = await world.logger.visit(claim)
    await world.store.users.remove(HOME)
    await world.logger.log_and_report([visit])
    assert len(world.logs.all) == 1


async def test_a_report_that_redis_does_not_take_loses_no_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(reports: Sequence[Report], tally: Mapping[str, int]) -> ReportResult:
        raise RedisUnavailable

    await world.add(HOME)
    world.relay.always(HOME, demand(int(await world.store.fleet.now())))
    leased = await world.lease(HOME)
    monkeypatch.setattr(world.store.schedule, "report", away)
    with capture_logs() as logged:
        await world.logger.run_cycle(leased)
    assert len(world.logs.all) == 1
    [line] = [line for line in logged if line["event"] == "state_not_written"]
    assert line["cloud_ids"] == [HOME]


async def test_a_reading_from_another_hour_is_filed_there(world: World) -> None:
    await world.add(HOME)
    now = int(await world.store.fleet.now())
    world.relay.always(HOME, demand(now), demand(now - 5 * 3600), demand(now + 5 * 3600))
    await world.logger.run_cycle(await world.lease(HOME))
    hours = {Hour.of(moment) for moment in (now, now - 5 * 3600, now + 5 * 3600)}
    assert {hour for _, hour in world.logs.lines} == hours
    [ahead] = world.logs.lines[HOME, Hour.of(now + 5 * 3600)]
    assert Flag.FUTURE in parse_line(ahead.rstrip()).flags


async def test_a_visit_asks_nothing_more_once_the_disk_is_full(world: World) -> None:
    """The readings of another visit find the disk full after the first request of this one."""
    await world.add(HOME, OTHER)
    worker = world.worker("fetch-2", intervals=dict.fromkeys(Kind, 6.0))
    world.relay.always(OTHER, demand(int(await world.store.fleet.now())))
    logging: list[asyncio.Task[list[bool]]] = []

    async def fill_the_disk(_: Credentials, __: Kind) -> Decoded:
        world.logs.full.set()
        logging.append(asyncio.create_task(worker.log_and_report([other_visit])))
        await until(lambda: worker.disk_trouble is not None)
        return holding()

    world.relay.answers[HOME] = fill_the_disk
    claim = await world.claim(HOME)
    other_visit = await world.logger.visit(await world.claim(OTHER))
    visit = await worker.visit(claim)
    assert len(logging) == 1
    assert (visit.requests, visit.outcome) == (1, "fetched")
    world.logs.full.clear()
    await asyncio.gather(*logging)
    await worker.close()
