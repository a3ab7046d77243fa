"""Fault 5, in one process: a disk that is full, failing or read-only at each step, from the append
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
from eagle_logger.core.rotation_plan import FIRST_RETRY_PAUSE_S
from eagle_logger.disk import crash_points
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.writer import LogWriter
from tests.faults.fault_table import NoteRow, unharmed
from tests.support import log_files, volumes
from tests.support.log_files import at_step, line
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import NOW, RETENTION, Disk, assert_exactly_once

USERS = [f"{number:06x}" for number in range(3)]


@pytest.fixture(autouse=True)
def no_hook_left() -> Iterator[None]:
    yield
    crash_points.install(None)


def test_a_full_disk_loses_nothing(tmp_path: Path, note_row: NoteRow) -> None:
    """Logs and archive share a real volume. In each round one more page of it is free."""
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
            refusals += was_refused(lambda: writer.append(batch))  # noqa: B023  (called at once)
            refusals += was_refused(lambda: disk.rotate(archive, include_open=True))
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
    what = "a real disk with 0 to 23 free pages while logging and rotating"
    note_row(unharmed(5, "disk-pages", what, 24, readings))


def was_refused(act: Callable[[], object]) -> bool:
    try:
        result = act()
    except DiskUnavailable:
        return True
    return bool(getattr(result, "errors", None))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_a_rotation_that_fails_at_any_step_loses_nothing(
    tmp_path: Path, number: int, note_row: NoteRow
) -> None:
    lines = demands([3, 1, 2, 2]) + demand(3, 7)
    # Rotation tries a file again only after a pause if the trouble may be that file's alone: EIO.
    later = NOW + FIRST_RETRY_PAUSE_S if number == errno.EIO else NOW

    def refuse(name: str, refused: list[str]) -> None:
        refused.append(name)
        raise OSError(number, os.strerror(number))

    for step in range(1, 200):
        root = tmp_path / f"{step}"
        disk, archive = Disk(root / "logs"), DirectoryArchive(root / "archive")
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
    note_row(unharmed(5, f"disk-{errno.errorcode[number]}", what, step - 1, 4 * (step - 1)))


@pytest.mark.parametrize("below", ["", "logs"])
def test_a_file_system_that_becomes_read_only_acknowledges_nothing(
    tmp_path: Path, below: str, note_row: NoteRow
) -> None:
    """ext4 becomes read-only after an error. Since Linux 6.16 its statvfs still shows it as
    writable."""
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
        # The check before a fetch notices it too, so that no gateway is asked in vain.
        with pytest.raises(DiskUnavailable, match="Read-only file system"):
            LogWriter(root, shards=8, max_open=8, min_free_disk=0).check()
    with volumes.ext4(image, at):
        writer = LogWriter(root, shards=8, max_open=8, min_free_disk=0)
        assert log_files.contents(root) == b"".join(acknowledged)
        writer.append({(CLOUD_ID, HOUR): [line(5)]})
        writer.close()
        assert log_files.contents(root) == b"".join([*acknowledged, line(5)])
    what = "an ext4 that becomes read-only at an error, and is mounted again"
    note_row(unharmed(5, "disk-read-only", what, 1, 6))
