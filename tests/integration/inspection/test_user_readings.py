"""A user's readings from open, sealed and archived files, also while rotation moves them from one
to the next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core import paths
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.line_format import parse_line
from eagle_logger.core.readings import Flag
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.inspection.user_readings import UserReadings
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from eagle_logger.rotation.index_hours import index_hours
from eagle_logger.rotation.rotate_shard import rotate_shard
from eagle_logger.rotation.rotation_rules import RotationRules
from tests.support.log_lines import HOUR, demand

USER = "002738"
SHARD = paths.shard_name(paths.shard_of(USER, 4))
NEXT_HOUR = Hour(HOUR.start + SECONDS_PER_HOUR)
LATER = float(HOUR.start + 2 * SECONDS_PER_HOUR)


class RecordingArchive(MemoryArchive):
    """Records which objects are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def get(self, key: str) -> bytes:
        self.fetched.append(key)
        return super().get(key)


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "logs")


@pytest.fixture
def writer(folder: LogFolder) -> Iterator[LogWriter]:
    writer = LogWriter(folder.root, shards=4, max_open=64, min_free_disk=0)
    yield writer
    writer.close()


@pytest.fixture
def archive() -> RecordingArchive:
    return RecordingArchive()


@pytest.fixture
def history(folder: LogFolder, archive: Archive) -> UserReadings:
    return UserReadings(USER, folder, archive)


def rotate(folder: LogFolder, archive: Archive, retention: float = 86400) -> None:
    rules = RotationRules(folder, LATER, grace=600, retention=retention, include_open=True)
    done = rotate_shard(rules, archive, HOUR, SHARD)
    assert not done.errors
    assert not index_hours(rules, archive, at_once=True).errors


def texts(lines: list[bytes]) -> list[bytes]:
    return [text.rstrip(b"\n") for text in lines]


def test_a_user_without_files_has_no_readings(history: UserReadings) -> None:
    assert history.hours() == []
    assert history.lines(HOUR) == []


def test_readings_of_all_files_come_in_order_and_each_once(
    history: UserReadings, folder: LogFolder, archive: RecordingArchive, writer: LogWriter
) -> None:
    first, second, third, fourth = (demand(offset, 1) for offset in (10, 20, 30, 40))
    writer.append({(USER, HOUR): [second, second]})
    rotate(folder, archive, retention=0)
    rotate(folder, archive, retention=0)
    assert folder.hours() == []
    assert history.lines(HOUR) == texts([second])
    writer.append({(USER, HOUR): [fourth]})
    rotate(folder, archive)
    writer.append({(USER, HOUR): [third, second]})
    [opened] = folder.open_files(HOUR, SHARD)
    folder.seal(opened)
    writer.append(
        {(USER, HOUR): [fourth, first], (USER, NEXT_HOUR): [demand(5, 1, hour=NEXT_HOUR)]}
    )
    archive.fetched.clear()

    assert history.hours() == [HOUR, NEXT_HOUR]
    assert history.lines(HOUR) == texts([first, second, third, fourth])
    assert history.lines(NEXT_HOUR) == texts([demand(5, 1, hour=NEXT_HOUR)])
    # Part 1 is not fetched: its file still lies here, as its receipt says.
    assert archive.fetched == [paths.archive_key(USER, HOUR, 0)]
    assert history.unreadable == 0


def test_conflicting_readings_are_both_shown_and_flagged(
    history: UserReadings, writer: LogWriter
) -> None:
    writer.append({(USER, HOUR): [demand(10, 1), demand(10, 2)]})
    lines = [parse_line(text) for text in history.lines(HOUR)]
    assert len(lines) == 2
    assert all(line.flags == {Flag.CONFLICT} for line in lines)


def test_unreadable_lines_and_objects_are_counted(
    history: UserReadings, folder: LogFolder, archive: RecordingArchive, writer: LogWriter
) -> None:
    writer.append({(USER, HOUR): [demand(10, 1), b"nonsense\n"]})
    archive.put(paths.archive_key(USER, HOUR, 3), b"not gzip", {})
    archive.put(paths.archive_key("00ce69", HOUR), b"another's", {})
    archive.put(f"cloud_id={USER}/date=2026-03-10/notes.txt", b"strange", {})
    assert history.hours() == [HOUR]
    assert history.lines(HOUR) == texts([demand(10, 1)])
    assert history.unreadable == 2


def test_an_object_that_the_store_does_not_give_hides_no_other_hour(
    history: UserReadings, folder: LogFolder, archive: RecordingArchive, writer: LogWriter
) -> None:
    writer.append({(USER, HOUR): [demand(1, 1)]})
    rotate(folder, archive)
    a_day_later = RotationRules(folder, LATER + 86400, grace=600, retention=86400)
    rotate_shard(a_day_later, archive, HOUR, SHARD)
    writer.append({(USER, NEXT_HOUR): [demand(1, 1, hour=NEXT_HOUR)]})

    def refuse(key: str) -> bytes:
        raise ArchiveUnavailable(key)

    archive.get = refuse  # type: ignore[method-assign]
    assert history.lines(HOUR) == []
    assert texts(history.lines(NEXT_HOUR)) == texts([demand(1, 1, hour=NEXT_HOUR)])
    assert history.unreadable == 1
    archive.ping = lambda: refuse("away")  # type: ignore[assignment]
    with pytest.raises(ArchiveUnavailable):
        history.lines(HOUR)


def test_the_readings_of_other_users_are_not_shown(
    history: UserReadings, writer: LogWriter
) -> None:
    other = next(
        f"{number:06x}"
        for number in range(1000)
        if paths.shard_of(f"{number:06x}", 4) == paths.shard_of(USER, 4)
    )
    writer.append({(other, HOUR): [demand(10, 1, cloud_id=other)]})
    assert history.hours() == []


def test_no_reading_is_missed_while_rotation_moves_it(
    folder: LogFolder, archive: RecordingArchive, writer: LogWriter
) -> None:
    """A rotator seals, archives and deletes all the time. A reader sees every reading that was
    logged before it began."""
    logged = 0
    done = threading.Event()

    def keep_rotating() -> None:
        while not done.is_set():
            rotate(folder, archive, retention=0)

    def readings() -> Iterator[bytes]:
        for offset in range(150):
            yield demand(offset, 1)

    with ThreadPoolExecutor(1) as threads:
        rotating = threads.submit(keep_rotating)
        try:
            for logged, text in enumerate(readings(), 1):
                writer.append({(USER, HOUR): [text]})
                if logged % 5 == 0:
                    history = UserReadings(USER, folder, archive)
                    assert history.hours() == [HOUR]
                    assert len(history.lines(HOUR)) == logged
        finally:
            done.set()
        rotating.result()
    assert logged == 150
