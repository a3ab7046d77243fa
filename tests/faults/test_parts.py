"""Fault 12: a user's hour in several parts, from several disks and versions; no reading is in two
of them."""

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
from eagle_logger.core.hours import HOUR
from tests.faults.fault_table import Noted, unharmed
from tests.faults.one_worker import World
from tests.support.scripted_relay import demand

row = partial(unharmed, 12)


async def test_a_gateway_that_shows_the_same_for_hours(world: World, noted: Noted) -> None:
    """Frozen for a day: its reading's hour is archived and deleted here, and nobody remembers that
    it was said before."""
    node, frozen = world.node(), [demand(world.now + second, "1.5") for second in range(0, 60, 6)]
    for hour in range(24):
        for _ in range(3):
            world.clock.advance(HOUR / 3)
            await node.visit(*frozen)
            node.rotate()
        if hour % 4 == 3:
            await world.forget_state()
    count = world.assert_exactly_once()
    assert len(world.kept) == 1, "one object, and nothing but receipts afterwards"
    noted(
        row("parts-frozen", "a gateway frozen for a day, its state forgotten six times", 24, count)
    )


async def test_another_number_of_shards_in_the_middle_of_an_hour(
    world: World, noted: Noted
) -> None:
    """The user's hour lies in two folders; a worker that was not told yet writes to the old one
    still."""
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
    noted(row("parts-shards", what, 1, world.assert_exactly_once()))


async def test_one_user_on_two_nodes(world: World, seed: int, noted: Noted) -> None:
    """Each asks the same gateway in turn, without its memory, and rotates when it likes."""
    nodes, chance = [world.node(), world.node()], Random(seed)
    said = [demand(world.now + 6 * number, "1.5") for number in range(700)]
    for number in range(0, 700, 3):
        world.clock.advance(18)
        await nodes[chance.randrange(2)].visit(*said[max(0, number - 5) : number + 1])
        if chance.random() < 0.1:
            await world.forget_state()
        if chance.random() < 0.1:
            nodes[chance.randrange(2)].rotate(include_open=True)
    assert world.assert_exactly_once() > 230
    assert max(int(key.split(".")[1]) for key in world.kept if key.count(".") > 2) > 2, (
        "there were several parts"
    )
    noted(
        row(
            "parts-nodes",
            "one user on two nodes, both archiving all the time",
            2,
            world.assert_exactly_once(),
        )
    )


class KilledError(BaseException):
    """No handler of ours may catch it."""


class Mortal:
    """An archive whose rotator dies right after what it stored, or before it hears of it."""

    def __init__(self, archive: MemoryArchive | DirectoryArchive, dies: Callable[[], bool]) -> None:
        self._archive = archive
        self._dies = dies

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self._archive.put(key, body, metadata)
        if self._dies():
            raise KilledError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)


async def test_a_library_that_compresses_to_other_bytes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: Noted
) -> None:
    """Upgraded between the upload and its receipt, again and again: the object is recognised by its
    lines, not by its bytes."""
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
    world.look_at_objects()
    count_of_readings = world.assert_exactly_once()
    assert deaths > 10
    numbers = sorted(key for key in world.kept)
    assert len(numbers) == len(set(numbers)) > 15
    noted(
        row(
            "parts-gzip",
            "killed between upload and receipt, then gzip gives other bytes",
            deaths,
            count_of_readings,
        )
    )
