"""Fault 12: a user's hour in several parts, from several disks and versions. No reading may be in
two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core import sealing
from eagle_logger.core.hours import SECONDS_PER_HOUR
from tests.faults.fault_table import NoteRow, unharmed
from tests.faults.one_worker import World
from tests.support.scripted_relay import demand

row = partial(unharmed, 12)


async def test_a_gateway_that_shows_the_same_readings_for_a_day_is_archived_once(
    world: World, note_row: NoteRow
) -> None:
    """The gateway is frozen for a day. The hour of its readings is archived and deleted on the
    node, and the user's state does not know them any more."""
    node, frozen = world.node(), [demand(world.now + second, "1.5") for second in range(0, 60, 6)]
    for hour in range(24):
        for _ in range(3):
            world.clock.advance(SECONDS_PER_HOUR / 3)
            await node.visit(*frozen)
            node.rotate()
        if hour % 4 == 3:
            await world.forget_state()
    count = world.assert_exactly_once()
    assert len(world.objects) == 1, "one object, and nothing but receipts afterwards"
    what = "a gateway frozen for a day, its state forgotten six times"
    note_row(row("parts-frozen", what, 24, count))


async def test_a_new_number_of_shards_in_the_middle_of_an_hour_doubles_nothing(
    world: World, note_row: NoteRow
) -> None:
    """The user's hour is in two folders, because a worker still has the old number of shards."""
    old, new = world.node(shards=16, disk="one"), world.node(shards=3, disk="one")
    for number in range(60):
        world.clock.advance(60)
        await (old, new)[number % 2 if number > 20 else 0].visit(
            demand(world.now - 3, "1.5"), demand(world.now - 63, "1.5")
        )
        if number % 9 == 8:
            await world.forget_state()
            old.rotate(include_open=True)
    what = "another EAGLE_SHARDS in the middle of an hour, old and new side by side"
    note_row(row("parts-shards", what, 1, world.assert_exactly_once()))


async def test_one_user_on_two_nodes_is_archived_once(
    world: World, seed: int, note_row: NoteRow
) -> None:
    """Both ask the same gateway, now and then without the user's state, and rotate at any time."""
    nodes, chance = [world.node(), world.node()], Random(seed)
    readings = [demand(world.now + 6 * number, "1.5") for number in range(700)]
    for number in range(0, 700, 3):
        world.clock.advance(18)
        await nodes[chance.randrange(2)].visit(*readings[max(0, number - 5) : number + 1])
        if chance.random() < 0.1:
            await world.forget_state()
        if chance.random() < 0.1:
            nodes[chance.randrange(2)].rotate(include_open=True)
    count = world.assert_exactly_once()
    assert count > 230
    later_parts = [int(key.split(".")[1]) for key in world.objects if key.count(".") > 2]
    assert max(later_parts) > 2
    what = "one user on two nodes, both archiving all the time"
    note_row(row("parts-nodes", what, 2, count))


class KilledError(BaseException):
    """A BaseException, so that no handler in the product catches it."""


class Mortal:
    """An archive that kills the rotator after an upload, before it learns of the success."""

    def __init__(self, archive: MemoryArchive | DirectoryArchive, dies: Callable[[], bool]) -> None:
        self._archive = archive
        self._dies = dies

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self._archive.put(key, body, metadata)
        if self._dies():
            raise KilledError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)


async def test_a_gzip_that_makes_other_bytes_doubles_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note_row: NoteRow
) -> None:
    """gzip changes between the upload and its receipt, again and again. The rotator recognises the
    object by its lines, not by its bytes."""
    stored, level = DirectoryArchive(tmp_path / "archive"), count(1)
    dying = iter([True, False] * 1000)
    world.archive = Mortal(stored, lambda: next(dying))
    node, deaths = world.node(), 0
    for _ in range(40):
        for _ in range(5):
            world.clock.advance(60)
            await node.visit(demand(world.now - 3, "1.5"))
        try:
            node.rotate(include_open=True)
        except KilledError:
            deaths += 1
        monkeypatch.setattr(sealing, "_GZIP_LEVEL", 1 + next(level) % 9)
    dying = iter([False] * 1000)
    world.check_objects()
    readings = world.assert_exactly_once()
    assert deaths > 10
    assert len(world.objects) > 15
    what = "killed between upload and receipt, then gzip gives other bytes"
    note_row(row("parts-gzip", what, deaths, readings))
