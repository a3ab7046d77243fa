"""Fault 5, in one process: a disk that is full, failing or read-only at each phase, from the append
to the receipt."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import FIRST_PAUSE
from eagle_logger.disk import crash_points
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.writer import LogWriter
from tests.faults.fault_table import Noted, Row
from tests.support import log_files, volumes
from tests.support.log_files import at_step, line
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import NOW, RETENTION, Disk, assert_exactly_once

USERS = [f"{number:06x}" for number in range(3)]


@pytest.fixture(autouse=True)
def no_hook_left() -> Iterator[None]:
    yield
    crash_points.install(None)


def test_full_at_each_phase(tmp_path: Path, noted: Noted) -> None:
    """Logs and archive on one real volume with ever less room: a page more is free in each round."""
    written = dict.fromkeys(USERS, b"")
    with volumes.tmpfs(tmp_path / "volume", "8m") as volume:
        disk, archive = Disk(volume / "logs"), DirectoryArchive(volume / "archive")
        refusals = 0
        for pages in range(24):
            writer = LogWriter(disk.folder.root, shards=8, max_open=8, min_free_disk=0)
            writer.check()
            ballast = volumes.fill(volume, pages * 4096)
            batch: dict[tuple[str, Hour], list[bytes]] = {
                (user, HOUR): [line(10 * pages + number, user) for number in range(8)]
                for user in USERS
            }
            refusals += not_possible(lambda: writer.append(batch))  # noqa: B023  (called at once)
            refusals += not_possible(lambda: disk.rotate(archive, include_open=True))
            ballast.unlink()
            assert log_files.torn(disk.folder.root) == []
            writer.append(batch)
            writer.close()
            for (user, _), lines in batch.items():
                written[user] += b"".join(lines)
            if pages % 3 == 0:
                disk.rotate(archive, include_open=True)
        disk.rotate(archive, include_open=True)
        assert disk.unarchived() == 0
        for user in USERS:
            assert_exactly_once(archive, written[user], user)
        disk.rotate(archive, NOW + 2 * RETENTION)
        assert disk.folder.hours() == []
    assert refusals > 10, "the disk was hardly ever full"
    readings = sum(text.count(b"\n") for text in written.values())
    noted(
        Row(
            "disk-pages",
            5,
            "a real disk with 0 to 23 free pages while logging and rotating",
            24,
            readings,
            0,
            0,
            0,
        )
    )


def not_possible(act: Callable[[], object]) -> bool:
    try:
        result = act()
    except DiskUnavailable:
        return True
    return bool(getattr(result, "errors", None))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_refused_at_every_step_of_a_rotation(tmp_path: Path, number: int, noted: Noted) -> None:
    lines = demands([3, 1, 2, 2]) + demand(3, 7)
    later = (
        NOW + FIRST_PAUSE if number == errno.EIO else NOW
    )  # only EIO may be one file's own trouble

    def refuse(name: str, refused: list[str]) -> None:
        refused.append(name)
        raise OSError(number, os.strerror(number))

    for step in range(1, 200):
        disk, archive = (
            Disk(tmp_path / f"{step}" / "logs"),
            DirectoryArchive(tmp_path / f"{step}" / "archive"),
        )
        disk.append(lines + b'{"v":1,"torn')
        refused: list[str] = []
        crash_points.install(at_step(step, lambda name: refuse(name, refused)))  # noqa: B023  (used in this round only)
        with suppress(DiskUnavailable):
            disk.rotate(archive)
        crash_points.install(None)
        disk.rotate(archive, later)
        assert disk.unarchived() == 0
        assert_exactly_once(archive, lines)
        assert [kept for kept in disk.quarantined().values() if kept.startswith(b'{"v":1,"torn')]
        if not refused:
            break
    assert step > 20
    what = f"{errno.errorcode[number]} at every step from seal to receipt, in turn"
    noted(Row(f"disk-{errno.errorcode[number]}", 5, what, step - 1, 4 * (step - 1), 0, 0, 0))


@pytest.mark.parametrize("below", ["", "logs"])
def test_a_file_system_that_becomes_read_only_acknowledges_nothing(
    tmp_path: Path, below: str, noted: Noted
) -> None:
    """As ext4 does after an error. What it says in statvfs since Linux 6.16 is that it can be
    written."""
    image, at = tmp_path / "image", tmp_path / "volume"
    root = at / below
    acknowledged: list[bytes] = []
    with volumes.ext4(image, at):
        writer = LogWriter(root, shards=8, max_open=8, min_free_disk=0)
        for number in range(5):
            writer.append({(CLOUD_ID, HOUR): [line(number)]})
            acknowledged.append(line(number))
        volumes.break_ext4(at)
        for number in range(5, 8):
            with pytest.raises(DiskUnavailable, match="Read-only file system"):
                writer.append(
                    {
                        (CLOUD_ID, HOUR): [line(number)],
                        **{(user, HOUR): [line(number, user)] for user in USERS},
                    }
                )
        writer.close()
        with pytest.raises(
            DiskUnavailable, match="Read-only file system"
        ):  # before anybody is asked for what cannot be kept
            LogWriter(root, shards=8, max_open=8, min_free_disk=0).check()
    with volumes.ext4(image, at):
        writer = LogWriter(root, shards=8, max_open=8, min_free_disk=0)
        assert log_files.contents(root) == b"".join(acknowledged)
        writer.append({(CLOUD_ID, HOUR): [line(5)]})
        writer.close()
        assert log_files.contents(root) == b"".join([*acknowledged, line(5)])
    noted(
        Row(
            "disk-read-only",
            5,
            "an ext4 that becomes read-only at an error, and is mounted again",
            1,
            6,
            0,
            0,
            0,
        )
    )
