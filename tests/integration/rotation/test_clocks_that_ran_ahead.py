"""Moments in files that are ahead of now. A host whose clock ran ahead for a while wrote them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.hours import Hour
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import GRACE, NOW, RETENTION, SHARD, Disk, assert_exactly_once

AHEAD = NOW + 90 * 86400
COMPLETE = HOUR.end + 3600 + GRACE


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


def test_a_first_line_from_ahead_of_now_does_not_keep_its_file_open(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(demand(1, 1, arrived=AHEAD) + demand(2, 1))
    assert disk.plan(COMPLETE - 1) == []
    assert disk.rotate(archive, COMPLETE).objects == 1
    assert_exactly_once(archive, demand(1, 1) + demand(2, 1))


def test_a_time_of_change_ahead_of_now_does_not_keep_its_file_open(disk: Disk) -> None:
    disk.append(b"nothing that can be read\n")
    os.utime(disk.path(), (AHEAD, AHEAD))
    assert disk.plan(COMPLETE - 1) == []
    assert disk.plan(COMPLETE) == [(HOUR, SHARD)]


def test_a_first_line_ahead_of_now_in_an_hour_ahead_does_not_keep_its_file_open(disk: Disk) -> None:
    archive, future = MemoryArchive(), Hour(HOUR.start + 20 * 365 * 86400)
    disk.append(demand(1, 1, hour=future, arrived=AHEAD), hour=future)
    assert disk.rotate(archive).objects == 1


def test_a_receipt_from_ahead_of_now_does_not_keep_its_file_for_good(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(demands([1, 2]))
    disk.rotate(archive, AHEAD)
    assert disk.rotate(archive, HOUR.end + RETENTION - 1).removed == 0
    assert disk.rotate(archive, HOUR.end + RETENTION).removed == 1
    assert disk.folder.hours() == []
    assert_exactly_once(archive, demands([1, 2]), CLOUD_ID)
