"""What the bridge reports of this disk: the hours that wait, and those of single homes that are stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.clock import Clock
from eagle_logger.core.hours import Hour
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.settings import Settings
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import Disk, Watched
from workers.server.bridge import Unarchived
from workers.server.serving import _unarchived

NEXT = Hour(HOUR.end)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def refuse_the_user(_what: str, key: str) -> None:
    if CLOUD_ID in key:
        raise ArchiveUnavailable("answered InvalidObjectState")


def test_an_hour_where_everything_left_is_stuck_is_not_the_oldest_that_waits(settings: Settings) -> None:
    disk = Disk(settings.logs_dir)
    assert _unarchived(settings) == Unarchived(0, 0, None, 0)
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_user))
    assert _unarchived(settings) == Unarchived(1, 1, None, 1)
    disk.append(demand(1, 1, hour=NEXT, cloud_id="00ce69"), "00ce69", NEXT)
    assert _unarchived(settings) == Unarchived(2, 2, NEXT.start, 1)
    disk.append(demand(1, 1, cloud_id="00ce69"), "00ce69")
    assert _unarchived(settings) == Unarchived(2, 3, HOUR.start, 1)
    disk.rotate(MemoryArchive(), include_open=True, heed_pauses=False)
    assert _unarchived(settings).stuck == 0


def test_an_hour_that_is_open_does_not_wait(tmp_path: Path) -> None:
    grace, now = 600.0, HOUR.end + 599.0
    disk = Disk(tmp_path / "logs")
    disk.append(demands([1]))
    before = Settings(data_dir=tmp_path, rotate_grace=grace, relay_url="http://127.0.0.1:1/", test_clock=_standing_at(now))
    assert _unarchived(before) == Unarchived(0, 0, None, 0)
    after = Settings(data_dir=tmp_path, rotate_grace=grace, relay_url="http://127.0.0.1:1/", test_clock=_standing_at(now + 1))
    assert _unarchived(after) == Unarchived(1, 1, HOUR.start, 0)


def _standing_at(moment: float) -> Clock:
    """A clock so slow that it stands."""
    return Clock(moment, 1e-9)
