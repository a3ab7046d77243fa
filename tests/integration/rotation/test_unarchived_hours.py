"""What the bridge and the fleet's status report of this disk: unarchived hours, and stuck hours of
single homes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.cli.status_text import totals_in_words
from eagle_logger.clock import Clock
from eagle_logger.core.hours import Hour
from eagle_logger.core.index_plan import INDEXED_WITHIN_S
from eagle_logger.core.paths import INDEX
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.inspection.fleet_status import Expected, FleetStatus, UnarchivedHour, collect
from eagle_logger.settings import Settings
from eagle_logger.users.memory.store import memory_store
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import Disk, Watched
from workers.server.unarchived_hours import UnarchivedHours, unarchived_hours

NEXT = Hour(HOUR.end)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def refuse_the_user(_what: str, key: str) -> None:
    if CLOUD_ID in key:
        raise ArchiveUnavailable("answered InvalidObjectState")


def refuse_the_index(what: str, key: str) -> None:
    if what == "put" and key.startswith(INDEX):
        raise ArchiveUnavailable("denied")


def test_an_hour_with_only_stuck_files_is_not_the_oldest_unarchived_hour(
    settings: Settings,
) -> None:
    disk = Disk(settings.logs_dir)
    assert unarchived_hours(settings) == UnarchivedHours(0, 0, None, 0)
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_user))
    assert unarchived_hours(settings) == UnarchivedHours(1, 1, None, 1)
    disk.append(demand(1, 1, hour=NEXT, cloud_id="00ce69"), "00ce69", NEXT)
    all_in_their_time(settings)
    assert unarchived_hours(settings) == UnarchivedHours(2, 2, NEXT.start, 1)
    disk.append(demand(1, 1, cloud_id="00ce69"), "00ce69")
    all_in_their_time(settings)
    assert unarchived_hours(settings) == UnarchivedHours(2, 3, HOUR.start, 1)
    disk.rotate(MemoryArchive(), include_open=True, heed_pauses=False)
    assert unarchived_hours(settings).stuck == 0


async def test_an_hour_that_is_long_archived_and_not_indexed_is_shown(settings: Settings) -> None:
    disk, now = Disk(settings.logs_dir), time.time()
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_index), now - 2 * INDEXED_WITHIN_S)
    assert unarchived_hours(settings).unindexed_since == now - 2 * INDEXED_WITHIN_S
    status = await fleet_status(settings)
    assert [hour.hour for hour in status.unindexed_hours] == [HOUR.name]
    assert f"the oldest {HOUR.name}" in "\n".join(totals_in_words(status))
    disk.index(MemoryArchive(), at_once=True)
    assert unarchived_hours(settings).unindexed_since is None
    assert (await fleet_status(settings)).unindexed_hours == []


def test_an_hour_that_is_still_open_is_not_unarchived(tmp_path: Path) -> None:
    grace, now = 600.0, HOUR.end + 599.0
    disk = Disk(tmp_path / "logs")
    disk.append(demands([1]))
    all_in_their_time(Settings(data_dir=tmp_path))
    before = Settings(
        data_dir=tmp_path,
        rotate_grace=grace,
        relay_url="http://127.0.0.1:1/",
        test_clock=_standing_at(now),
    )
    assert unarchived_hours(before) == UnarchivedHours(0, 0, None, 0)
    after = Settings(
        data_dir=tmp_path,
        rotate_grace=grace,
        relay_url="http://127.0.0.1:1/",
        test_clock=_standing_at(now + 1),
    )
    assert unarchived_hours(after) == UnarchivedHours(1, 1, HOUR.start, 0)


def all_in_their_time(settings: Settings) -> None:
    for hour in (HOUR, NEXT):
        for file in (settings.logs_dir / hour.name).rglob("*.jsonl"):
            in_its_time(file, hour)


def in_its_time(file: Path, hour: Hour) -> None:
    """Make the file look as if it was written before its hour ended."""
    os.utime(file, (hour.end - 1.0, hour.end - 1.0))


def _standing_at(moment: float) -> Clock:
    """A clock so slow that it stands still."""
    return Clock(moment, 1e-9)


async def test_a_file_with_late_readings_is_not_unarchived_yet(tmp_path: Path) -> None:
    """A gateway showed an old message, so a file of an old hour was begun a moment ago."""
    hour = Hour(Hour.of(time.time()).start - 5 * 3600)
    settings = Settings(data_dir=tmp_path)
    disk = Disk(settings.logs_dir)
    disk.append(demand(1, 1, hour=hour), hour=hour)
    [file] = (settings.logs_dir / hour.name).rglob("*.jsonl")
    assert unarchived_hours(settings) == UnarchivedHours(0, 0, None, 0)
    assert await waiting(settings) == ([], [UnarchivedHour(hour.name, 1)])
    in_its_time(file, hour)
    assert unarchived_hours(settings) == UnarchivedHours(1, 1, hour.start, 0)
    assert await waiting(settings) == ([UnarchivedHour(hour.name, 1)], [])


async def waiting(settings: Settings) -> tuple[list[UnarchivedHour], list[UnarchivedHour]]:
    status = await fleet_status(settings)
    return status.unarchived_hours, status.open_hours


async def fleet_status(settings: Settings) -> FleetStatus:
    store = memory_store(time.time)
    return await collect(
        store, queues={}, folder=wiring.log_folder(settings), expected=Expected.by(settings)
    )
