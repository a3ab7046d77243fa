"""Appending to the log files: which file, how it is synced, which files stay open, what fits."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from eagle_logger.core import paths
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.disk import crash_points
from eagle_logger.logs import open_files
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.group_fsync import reports_errors
from eagle_logger.logs.writer import UNUSED_FILE_CLOSED_AFTER_S, LogWriter
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import line
from tests.support.log_lines import HOUR

USER = "002738"
NEXT_HOUR = Hour(HOUR.start + SECONDS_PER_HOUR)


def users(count: int) -> list[str]:
    return [f"{number:06x}" for number in range(count)]


def batch_of(number: int, cloud_ids: list[str]) -> dict[tuple[str, Hour], list[bytes]]:
    return {(cloud_id, HOUR): [line(number, cloud_id)] for cloud_id in cloud_ids}


# Which file ---------------------------------------------------------------------------------------


def test_lines_go_to_the_file_of_their_user_and_hour(writer: LogWriter, root: Path) -> None:
    written = writer.append(
        {
            (USER, HOUR): [line(1), line(2)],
            (USER, NEXT_HOUR): [line(3, hour=NEXT_HOUR)],
            ("00ce69", HOUR): [line(4, "00ce69")],
        }
    )

    assert (root / paths.log_file(USER, HOUR, 4)).read_bytes() == line(1) + line(2)
    assert (root / paths.log_file(USER, NEXT_HOUR, 4)).read_bytes() == line(3, hour=NEXT_HOUR)
    assert (root / paths.log_file("00ce69", HOUR, 4)).read_bytes() == line(4, "00ce69")
    size = sum(map(len, [line(1), line(2), line(3, hour=NEXT_HOUR), line(4, "00ce69")]))
    assert (written.bytes, written.files, written.torn) == (size, 3, 0)


def test_a_later_batch_is_added_behind_an_earlier_one(writer: LogWriter, root: Path) -> None:
    for number in range(5):
        writer.append(batch_of(number, [USER]))
    assert log_files.contents(root) == b"".join(map(line, range(5)))


def test_an_empty_batch_makes_no_file(writer: LogWriter, root: Path) -> None:
    assert writer.append({}).files == 0
    assert writer.append({(USER, HOUR): []}).files == 0
    assert log_files.files(root) == []


def test_half_a_line_is_refused_before_anything_is_written(writer: LogWriter, root: Path) -> None:
    with pytest.raises(ValueError, match="newline"):
        writer.append({(USER, HOUR): [line(1)], ("00ce69", HOUR): [b"{"]})
    assert log_files.files(root) == []


def test_other_users_of_the_machine_cannot_read_the_files(writer: LogWriter, root: Path) -> None:
    writer.append(batch_of(1, [USER]))
    assert (root / paths.log_file(USER, HOUR, 4)).stat().st_mode & 0o077 == 0


def test_a_file_put_in_the_place_of_the_open_one_is_noticed(writer: LogWriter, root: Path) -> None:
    writer.append(batch_of(0, [USER]))
    path = root / paths.log_file(USER, HOUR, 4)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    writer.append(batch_of(1, [USER]))
    path.unlink()
    writer.append(batch_of(2, [USER]))
    assert aside.read_bytes() == line(0)
    assert path.read_bytes() == line(2)


# How it is synced ---------------------------------------------------------------------------------


def steps_of(writer: LogWriter, batch: dict[tuple[str, Hour], list[bytes]]) -> Counter[str]:
    taken: Counter[str] = Counter()
    crash_points.install(lambda name: taken.update([name]))
    writer.append(batch)
    crash_points.install(None)
    return taken


def test_a_new_name_is_synced_with_the_folders_that_lead_to_it(writer: LogWriter) -> None:
    writer.check()
    first = steps_of(writer, batch_of(1, [USER]))
    file_and_folders_of_shard_hour_and_root = 4
    assert first["after write"] == 1
    assert first["after fsync"] == file_and_folders_of_shard_hour_and_root
    second = steps_of(writer, batch_of(2, [USER]))
    assert (second["after write"], second["after fsync"]) == (1, 1)


def test_many_files_share_one_syncfs_where_it_reports_errors(writer: LogWriter) -> None:
    writer.check()
    taken = steps_of(writer, batch_of(1, users(50)))
    assert taken["after write"] == 50
    if reports_errors(writer.root):
        assert (taken["after syncfs"], taken["after fsync"]) == (1, 0)
    else:
        assert taken["after fsync"] >= 50


@pytest.mark.usefixtures("without_syncfs")
def test_every_file_and_folder_is_synced_where_syncfs_hides_errors(make_writer: MakeWriter) -> None:
    writer = make_writer(shards=1)
    writer.check()
    taken = steps_of(writer, batch_of(1, users(50)))
    assert (taken["after syncfs"], taken["after fsync"]) == (0, 50 + 3)


def test_files_on_another_file_system_have_an_fsync_each(writer: LogWriter, root: Path) -> None:
    """A syncfs of the root's file system does not sync an hour's folder that is a link."""
    writer.check()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if not reports_errors(root) or Path(elsewhere).stat().st_dev == root.stat().st_dev:
            pytest.skip("needs two file systems")
        (root / HOUR.name).symlink_to(elsewhere)
        taken = steps_of(writer, batch_of(1, users(5)))
        assert taken["after fsync"] >= 5
        assert taken["after syncfs"] == 1
        writer.close()


def test_a_folder_removed_before_it_was_synced_is_no_failure(writer: LogWriter, root: Path) -> None:
    """The file was sealed, archived and removed with its folder after the writer's fsync."""
    path = root / paths.log_file(USER, HOUR, 4)

    def remove_with_its_folders(name: str) -> None:
        if name == "after fsync" and path.exists():
            path.unlink()
            path.parent.rmdir()
            path.parent.parent.rmdir()

    writer.check()
    crash_points.install(remove_with_its_folders)
    assert writer.append(batch_of(1, [USER])).files == 1
    assert not path.parent.parent.exists()


# Beside other processes ---------------------------------------------------------------------------


@pytest.mark.parametrize("max_open", [1, 3, 64])
def test_processes_on_the_same_files_lose_no_line_and_tear_none(
    make_writer: MakeWriter, root: Path, max_open: int
) -> None:
    processes, batches, cloud_ids = 4, 25, users(6)

    def batches_of(process: int) -> list[dict[tuple[str, Hour], list[bytes]]]:
        return [
            {
                (user, HOUR): [line(number, user), line(number + 10_000, user)]
                for user in (cloud_ids if number % 2 else cloud_ids[:2])
            }
            for number in range(process * batches, (process + 1) * batches)
        ]

    def append_all(process: int) -> None:
        writer = make_writer(max_open=max_open)
        for batch in batches_of(process):
            writer.append(batch)

    children = [log_files.fork(partial(append_all, process)) for process in range(processes)]
    assert [log_files.outcome(child) for child in children] == [0] * processes
    assert log_files.lines(root) == Counter(
        text
        for process in range(processes)
        for batch in batches_of(process)
        for texts in batch.values()
        for text in texts
    )


def test_the_lines_of_one_batch_lie_side_by_side(make_writer: MakeWriter, root: Path) -> None:
    processes, batches, lines = 4, 10, 30

    def append_all(process: int) -> None:
        writer = make_writer()
        for number in range(process * batches, (process + 1) * batches):
            writer.append({(USER, HOUR): [line(number * 100 + each) for each in range(lines)]})

    children = [log_files.fork(partial(append_all, process)) for process in range(processes)]
    assert [log_files.outcome(child) for child in children] == [0] * processes
    content = log_files.contents(root).splitlines(keepends=True)
    assert len(content) == processes * batches * lines
    first_lines = {line(number * 100): number for number in range(processes * batches)}
    for start in range(0, len(content), lines):
        number = first_lines[content[start]]
        assert content[start : start + lines] == [
            line(number * 100 + each) for each in range(lines)
        ]


# Which files stay open ----------------------------------------------------------------------------


OPEN_DESCRIPTORS = Path("/proc/self/fd")
needs_list_of_descriptors = pytest.mark.skipif(
    not OPEN_DESCRIPTORS.is_dir(), reason="the system does not list a process's descriptors"
)


def open_users(root: Path) -> set[str]:
    """The users whose log files below `root` this process has open."""
    files = set()
    for descriptor in OPEN_DESCRIPTORS.iterdir():
        with suppress(FileNotFoundError):  # the one that listed them
            files.add(descriptor.readlink())
    return {path.name.split("-")[1] for path in files if path.match(f"{root}/*/*/*.jsonl")}


@needs_list_of_descriptors
def test_log_files_take_at_most_a_fourth_of_few_descriptors(
    make_writer: MakeWriter, root: Path
) -> None:
    cloud_ids = users(2000)

    def append_all() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        writer = make_writer(max_open=512)
        for start in range(0, len(cloud_ids), 500):
            writer.append(batch_of(1, cloud_ids[start : start + 500]))
            assert len(open_users(root)) == 64 / 4

    assert log_files.outcome(log_files.fork(append_all)) == 0
    assert log_files.lines(root) == Counter(line(1, user) for user in cloud_ids)


def test_files_are_closed_when_others_have_used_up_the_descriptors(
    make_writer: MakeWriter, root: Path
) -> None:
    def append_without_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        writer = make_writer(max_open=8)
        writer.append(batch_of(1, users(5)))
        while True:
            try:
                os.dup(0)
            except OSError:
                break
        writer.append(batch_of(1, ["00ffff", "00fffe"]))

    assert log_files.outcome(log_files.fork(append_without_descriptors)) == 0
    assert len(log_files.files(root)) == 7


@needs_list_of_descriptors
def test_unused_files_are_closed(
    writer: LogWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(batch_of(0, [USER]))
    let_time_pass(monkeypatch, UNUSED_FILE_CLOSED_AFTER_S + 1)
    writer.append(batch_of(0, ["00ce69"]))
    assert open_users(root) == {"00ce69"}


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    later = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: later)


@needs_list_of_descriptors
def test_one_append_closes_only_some_of_the_unused_files(
    writer: LogWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "_MOST_CLOSED_AT_ONCE", 2)
    writer.append(batch_of(0, users(5)))
    let_time_pass(monkeypatch, UNUSED_FILE_CLOSED_AFTER_S + 1)
    left = []
    for number in range(3):
        writer.append(batch_of(number, ["00ce69"]))
        left.append(len(open_users(root)))
    assert left == [4, 2, 1]


@needs_list_of_descriptors
def test_of_more_files_than_fit_most_stay_open(make_writer: MakeWriter, root: Path) -> None:
    """Users come in turn: if the least recently used file were closed, none would stay open."""
    writer = make_writer(max_open=4)
    for number in range(5):
        before = open_users(root)
        writer.append(batch_of(number, users(10)))
        if number:
            assert len(before & open_users(root)) == 3


@needs_list_of_descriptors
def test_idle_files_are_closed_before_files_in_use(
    make_writer: MakeWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(max_open=4)
    writer.append(batch_of(0, users(4)))
    let_time_pass(monkeypatch, open_files._IDLE_AFTER_S + 1)
    writer.append(batch_of(0, ["00fffe", "00ffff"]))
    assert open_users(root) == {"000002", "000003", "00fffe", "00ffff"}


def test_a_closed_writer_opens_its_files_again(writer: LogWriter, root: Path) -> None:
    writer.append(batch_of(0, [USER]))
    writer.close()
    writer.close()
    writer.append(batch_of(1, [USER]))
    assert log_files.contents(root) == line(0) + line(1)


# What fits ----------------------------------------------------------------------------------------


def test_an_hour_of_one_user_takes_no_more_than_it_may(
    make_writer: MakeWriter, folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.logs.writer.LARGEST_HOUR", 10 * len(line(1)))
    writer, another = make_writer(), make_writer()
    written = writer.append(
        {(USER, HOUR): [line(number) for number in range(6)], ("00ce69", HOUR): [line(1, "00ce69")]}
    )
    assert not written.left_out
    [sealed] = [
        folder.seal(file)
        for shard in folder.shards(HOUR)
        for file in folder.open_files(HOUR, shard)
        if file.cloud_id == USER
    ]
    assert sealed is not None
    more = another.append({(USER, HOUR): [line(0), line(1)]})
    assert not more.left_out
    cut = writer.append(
        {
            (USER, HOUR): [line(number) for number in range(6)],
            (USER, NEXT_HOUR): [line(1, hour=NEXT_HOUR)],
        }
    )
    assert cut.left_out == {USER: 4}
    assert cut.bytes == 2 * len(line(0)) + len(line(1, hour=NEXT_HOUR))
    full = another.append({(USER, HOUR): [line(1), line(2)], ("00ce69", HOUR): [line(2, "00ce69")]})
    assert full.left_out == {USER: 2}
    open_path = folder.open_file_of(USER, HOUR, sealed.shard).path
    assert open_path.read_bytes() == line(0) + line(1) + line(0) + line(1)
