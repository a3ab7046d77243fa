"""What the bridge tells of this disk: what waits, and what of it is one home's own trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger.archive.memory import MemoryArchive
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
