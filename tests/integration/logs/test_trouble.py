"""A disk that is full, failing or read-only: nothing acknowledged is lost, no torn line is left,
and appending goes on by itself once the disk is well."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections import Counter
from pathlib import Path

import pytest

from eagle_logger.core import paths
from eagle_logger.core.hours import Hour
from eagle_logger.disk import crash_points
from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.group_fsync import reports_errors
from eagle_logger.logs.writer import LogWriter
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import at_step, line
from tests.support.log_lines import HOUR

USER = "002738"
USERS = [f"{number:06x}" for number in range(6)]
FAILURES = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT]


def batch(number: int, users: list[str]) -> dict[tuple[str, Hour], list[bytes]]:
    return {(user, HOUR): [line(number, user), line(number + 1, user)] for user in users}


def written(number: int, users: list[str]) -> Counter[bytes]:
    return Counter(text for texts in batch(number, users).values() for text in texts)


def failing(number: int) -> crash_points.Hook:
    def refuse(name: str) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def steps_of_an_append(make_writer: MakeWriter, users: list[str]) -> int:
    """The number of steps of a second append, to files that exist."""
    writer = make_writer()
    writer.append(batch(900, users))
    count = 0

    def hook(name: str) -> None:
        nonlocal count
        count += 1

    crash_points.install(hook)
    writer.append(batch(902, users))
    crash_points.install(None)
    return count


@pytest.mark.parametrize("trusted", [True, False], ids=["syncfs", "fsync"])
@pytest.mark.parametrize("number", FAILURES, ids=errno.errorcode.get)
@pytest.mark.parametrize("users", [USERS[:1], USERS], ids=["one file", "six files"])
def test_a_failure_at_any_step_fails_the_batch_and_takes_it_back(
    make_writer: MakeWriter,
    root: Path,
    users: list[str],
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    trusted: bool,
) -> None:
    if not trusted:
        monkeypatch.setattr("eagle_logger.logs.writer.reports_errors", lambda _: False)
    count = steps_of_an_append(make_writer, users)
    before = written(900, users) + written(902, users)
    assert log_files.lines(root) == before
    writer = make_writer()
    for step in range(1, count + 1):
        writer.append({})
        crash_points.install(at_step(step, failing(number)))
        with pytest.raises(DiskUnavailable, match="fetching resumes by itself"):
            writer.append(batch(1, users))
        crash_points.install(None)
        assert log_files.lines(root) == before

    writer.append(batch(1, users))
    assert log_files.lines(root) == before + written(1, users)


def test_a_failed_fsync_is_never_tried_again_on_the_same_descriptor(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(batch(1, [USER]))
    real = crash_points.fsync
    inodes: list[int] = []
    closed: list[int] = []

    def fsync(fd: int) -> None:
        inodes.append(os.fstat(fd).st_ino)
        if len(inodes) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    real_close = os.close

    def close(fd: int) -> None:
        closed.append(os.fstat(fd).st_ino)
        real_close(fd)

    monkeypatch.setattr(crash_points, "fsync", fsync)
    monkeypatch.setattr(os, "close", close)
    with pytest.raises(DiskUnavailable, match="Input/output error"):
        writer.append(batch(3, [USER]))
    assert len(inodes) == 1
    assert closed[0] == inodes[0]
    writer.append(batch(5, [USER]))


def test_a_batch_fails_if_its_syncfs_reports_an_error(writer: LogWriter, root: Path) -> None:
    writer.append(batch(1, USERS))
    if not reports_errors(root):
        pytest.skip("the writer uses no syncfs on this file system")

    def fail_in_syncfs(name: str) -> None:
        if name == "before syncfs":
            raise OSError(errno.EIO, "Input/output error")

    crash_points.install(fail_in_syncfs)
    with pytest.raises(DiskUnavailable, match="Input/output"):
        writer.append(batch(3, USERS))
    assert log_files.lines(root) == written(1, USERS)


def test_lines_that_another_process_added_behind_a_failed_batch_stay(
    make_writer: MakeWriter, root: Path
) -> None:
    """Another process appends between the write and the fsync, which fails. Its lines stay, and so
    do the whole lines before them."""
    writer, other = make_writer(), make_writer()
    writer.append(batch(1, [USER]))

    def other_appends_then_fail(name: str) -> None:
        crash_points.install(None)
        other.append(batch(5, [USER]))
        raise OSError(errno.EIO, "Input/output error")

    crash_points.install(at_step(3, other_appends_then_fail))
    with pytest.raises(DiskUnavailable):
        writer.append(batch(3, [USER]))
    assert log_files.lines(root) == written(1, [USER]) + written(3, [USER]) + written(5, [USER])


def test_a_batch_that_was_sealed_before_it_failed_is_left_alone(
    writer: LogWriter, root: Path
) -> None:
    def seal_then_fail(name: str) -> None:
        crash_points.install(None)
        folder = LogFolder(root)
        [opened] = folder.open_files(HOUR, paths.shard_name(paths.shard_of(USER, 4)))
        folder.seal(opened)
        raise OSError(errno.EIO, "Input/output error")

    writer.check()
    crash_points.install(at_step(3, seal_then_fail))
    with pytest.raises(DiskUnavailable):
        writer.append(batch(1, [USER]))
    assert log_files.lines(root) == written(1, [USER])


def test_a_short_write_is_continued(
    writer: LogWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crash_points, "write", lambda fd, data: os.write(fd, data[:100]))
    writer.append(batch(1, USERS))
    assert log_files.lines(root) == written(1, USERS)


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_none_of_it(
    writer: LogWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append(batch(1, [USER]))
    room = [150]

    def write(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(fd, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(crash_points, "write", write)
    with pytest.raises(DiskUnavailable, match="No space left"):
        writer.append(batch(3, [USER]))
    assert log_files.lines(root) == written(1, [USER])
    room[0] = 10**6
    writer.append(batch(3, [USER]))
    assert log_files.lines(root) == written(1, [USER]) + written(3, [USER])


def test_a_real_limit_in_the_middle_of_a_line_leaves_whole_lines(
    make_writer: MakeWriter, root: Path
) -> None:
    """RLIMIT_FSIZE: the kernel takes a part of the write, then refuses the rest."""
    size = 5 * len(line(1)) + 50

    def run() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        writer = make_writer()
        for number in range(10):
            try:
                writer.append({(USER, HOUR): [line(number)]})
            except DiskUnavailable as exc:
                assert "File too large" in str(exc), exc  # noqa: PT017
                assert number == 5, number
                return
        raise AssertionError("the limit was never met")

    assert log_files.outcome(log_files.fork(run)) == 0
    assert log_files.contents(root) == b"".join(map(line, range(5)))


def test_the_error_of_a_full_device_says_that_it_is_full(writer: LogWriter, root: Path) -> None:
    path = root / paths.log_file(USER, HOUR, 4)
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    with pytest.raises(DiskUnavailable, match="No space left on device"):
        writer.append(batch(1, [USER]))


def pretend_statvfs(monkeypatch: pytest.MonkeyPatch, **changed: int) -> None:
    fields = [
        *("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail"),
        *("f_files", "f_ffree", "f_favail", "f_flag", "f_namemax"),
    ]
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        stat = real(path)
        return os.statvfs_result([changed.get(name, getattr(stat, name)) for name in fields])

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_a_volume_with_too_little_room_is_not_written_to(
    make_writer: MakeWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(min_free_disk=2_000_000)
    pretend_statvfs(monkeypatch, f_bavail=1, f_frsize=4096)
    for act in (writer.check, lambda: writer.append(batch(1, [USER]))):
        with pytest.raises(DiskUnavailable, match=r"0 MB are free .* 2 MB of EAGLE_MIN_FREE_DISK"):
            act()
    assert log_files.files(root) == []
    pretend_statvfs(monkeypatch, f_bavail=10**6)
    writer.append(batch(1, [USER]))
    assert log_files.lines(root) == written(1, [USER])


def test_a_volume_without_inodes_is_not_written_to(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_statvfs(monkeypatch, f_files=100, f_favail=0)
    with pytest.raises(DiskUnavailable, match="no inode"):
        writer.check()


def test_an_append_fails_if_the_volume_becomes_read_only_while_it_is_synced(
    writer: LogWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only file system has nothing to sync, so syncing it succeeds."""
    writer.append(batch(1, USERS))

    def goes_read_only(name: str) -> None:
        if name == "before syncfs" or name.endswith("fsync"):
            pretend_statvfs(monkeypatch, f_flag=os.ST_RDONLY)

    crash_points.install(goes_read_only)
    with pytest.raises(DiskUnavailable, match="Read-only file system"):
        writer.append(batch(3, USERS))
    with pytest.raises(DiskUnavailable, match="Read-only file system"):
        writer.check()


def test_the_error_names_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = LogWriter(tmp_path / "file" / "logs", shards=4, max_open=4, min_free_disk=0)
    with pytest.raises(DiskUnavailable, match=r"Not a directory.*file"):
        writer.check()
