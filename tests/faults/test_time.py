"""Fault 6, in one process: clocks that are set, that have a time zone, that leap; gateways whose
clocks are wrong; readings for hours that were rotated long ago."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.user_state import STRANGE_HOURS_A_DAY
from tests.faults.fault_table import NoteRow, unharmed
from tests.faults.one_worker import HOME, World, open_world
from tests.support.scripted_relay import demand
from tests.support.users import new_user

row = partial(unharmed, 6)


async def test_a_workers_clock_set_forward_and_back_by_an_hour_loses_nothing(
    world: World, seed: int, note_row: NoteRow
) -> None:
    """The gateways' clocks stay right."""
    node, chance, truth, steps = world.node(), Random(seed), world.now, 0
    for _ in range(400):
        truth += 6
        world.clock.advance(6)
        if chance.random() < 0.05:
            world.clock.advance(
                chance.choice([-SECONDS_PER_HOUR, SECONDS_PER_HOUR, -SECONDS_PER_HOUR / 2, 1])
            )
            steps += 1
        await node.visit(demand(truth - chance.randrange(12), f"{chance.randrange(3)}.5"))
        if chance.random() < 0.1:
            node.rotate(include_open=chance.random() < 0.3)
    what = "our clock steps an hour forward and back, the gateway's does not"
    note_row(row("time-steps", what, steps, world.assert_exactly_once()))


NIGHTS = [
    ("Europe/Berlin", "2026-03-29-00"),
    ("Europe/Berlin", "2026-10-25-00"),
    ("America/New_York", "2026-11-01-05"),
    ("Australia/Lord_Howe", "2026-04-04-14"),
]


async def test_nights_when_summer_time_begins_or_ends_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note_row: NoteRow
) -> None:
    count = 0
    for zone, night in NIGHTS:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            async with open_world(tmp_path / zone / night) as world:
                count += await a_night(world, Hour.parse(night).start)
        finally:
            monkeypatch.undo()
            time.tzset()
    what = "the nights when clocks change, in Berlin, New York and on Lord Howe"
    note_row(row("time-zone", what, len(NIGHTS), count))


async def a_night(world: World, start: int) -> int:
    node = world.node()
    world.clock.advance(start - world.clock.now())
    for minute in range(0, 240, 4):
        world.clock.advance(240)
        await node.visit(demand(start + 60 * minute, "1.5"))
        node.rotate()
    count = world.assert_exactly_once()
    assert sorted(key[-22:-9] for key in world.objects) == [
        Hour(start + n * SECONDS_PER_HOUR).name for n in range(4)
    ]
    return count


async def test_a_leap_second_loses_nothing(world: World, note_row: NoteRow) -> None:
    """Unix time has the last second of the hour twice; a gateway may count a second 60, which is
    the next hour's first."""
    node, last = world.node(), Hour.parse("2016-12-31-23").end - 1
    world.clock.advance(last - 30 - world.clock.now())
    for second in (-2, -1, 0, 0, 1, 2):
        world.clock.advance(8)
        await node.visit(demand(last + second, "1.5"), demand(last + second, "2.5"))
        world.clock.advance(-1)
    what = "a second that comes twice, at the end of an hour"
    note_row(row("time-leap", what, 1, world.assert_exactly_once()))


OFFSETS = (-63 * 86400, -SECONDS_PER_HOUR, -30, 400, 5 * SECONDS_PER_HOUR, 20 * 365 * 86400)
"""Seconds."""


async def test_gateways_with_wrong_clocks_lose_nothing(world: World, note_row: NoteRow) -> None:
    node, homes = world.node(), {f"{number:06x}": offset for number, offset in enumerate(OFFSETS)}
    await world.store.users.put([new_user(cloud_id) for cloud_id in homes])
    for number in range(100):
        world.clock.advance(40)
        for cloud_id, offset in homes.items():
            await node.visit(demand(world.now + offset - 3, f"{number % 7}"), cloud_id=cloud_id)
        if number % 20 == 0:
            node.rotate()
    for _ in range(4):
        world.later()
    assert all(world.archived(cloud_id) for cloud_id in homes), "readings of the future wait"
    count = world.assert_exactly_once()
    what = "gateways whose clocks are 63 days behind to 20 years ahead"
    note_row(row("time-gateways", what, len(OFFSETS), count))


async def test_a_gateway_without_any_clock_is_filed_by_arrival_and_nothing_is_lost(
    world: World, seed: int, note_row: NoteRow
) -> None:
    """Not promised: a reading that such a gateway shows again later may be archived twice."""
    node, chance = world.node(), Random(seed)
    for _ in range(STRANGE_HOURS_A_DAY + 100):
        world.clock.advance(12)
        await node.visit(demand(chance.randrange(1_000_000_000, 2_000_000_000), "1.5"))
    count = world.assert_exactly_once()
    assert len(world.objects) <= STRANGE_HOURS_A_DAY + 3, "a few objects, not one for each reading"
    what = "a gateway whose every reading has a time of its own invention"
    note_row(row("time-none", what, 1, count))


async def test_readings_for_hours_long_rotated_are_archived_once(
    world: World, seed: int, note_row: NoteRow
) -> None:
    """The gateway shows a backlog, newest first, mixed with live readings. Some of it was logged
    before, and state and local files may be gone."""
    node, chance = world.node(), Random(seed)
    start = world.now
    for day_hour in range(12):
        for minute in range(0, 60, 5):
            world.clock.advance(300)
            await node.visit(demand(start + day_hour * SECONDS_PER_HOUR + minute * 60, "1.5"))
        world.later(0)
    for number in range(40):
        world.clock.advance(120)
        old = [
            start + chance.randrange(12) * SECONDS_PER_HOUR + chance.randrange(720) * 5
            for _ in range(10)
        ]
        await node.visit(
            *(demand(moment, "1.5") for moment in sorted(old, reverse=True)),
            demand(world.now - 3, "2"),
        )
        if number % 10 == 9:
            await world.forget_state()
            world.later()
    what = "backlogs of ten for hours long rotated, state lost now and then"
    note_row(row("time-late", what, 40, world.assert_exactly_once()))


async def test_an_hour_that_begins_within_a_batch_loses_nothing(
    world: World, note_row: NoteRow
) -> None:
    node, others = world.node(), [f"{number:06x}" for number in range(20)]
    await world.store.users.put([new_user(cloud_id) for cloud_id in others])
    end = Hour.of(world.now).end
    world.clock.advance(end - world.clock.now() + 1)
    for cloud_id in [HOME, *others]:
        readings = [demand(end + second, "1.5") for second in (-2, -1, 0, 1)]
        world.relay.always(cloud_id, *readings)
        world.clock.advance(0.01)
        await node.visit(*readings, cloud_id=cloud_id)
    count = world.assert_exactly_once()
    assert len(world.objects) == 2 * 21
    what = "an hour begins in the middle of a batch, and of a reply"
    note_row(row("time-boundary", what, 21, count))
