from __future__ import annotations

import os
import resource
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from eagle_logger.core import paths
from eagle_logger.core.hours import HOUR as ONE_HOUR
from eagle_logger.core.hours import Hour
from eagle_logger.disk import crash_points
from eagle_logger.logs import appender, group_fsync, open_files
from eagle_logger.logs.folder import LogFolder
from eagle_logger.logs.writer import LogWriter
from tests.integration.logs.conftest import MakeWriter
from tests.support import log_files
from tests.support.log_files import line
from tests.support.log_lines import HOUR

USER = "002738"
NEXT_HOUR = Hour(HOUR.start + ONE_HOUR)


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
    assert (written.bytes, written.files, written.torn) == (
        sum(map(len, [line(1)] * 3 + [line(4, "00ce69")])),
        3,
        0,
    )


def test_later_batches_go_behind_earlier_ones(writer: LogWriter, root: Path) -> None:
    for number in range(5):
        writer.append({(USER, HOUR): [line(number)]})
    assert log_files.contents(root) == b"".join(map(line, range(5)))


def test_nothing_to_write_writes_nothing(writer: LogWriter, root: Path) -> None:
    assert writer.append({}).files == 0
    assert writer.append({(USER, HOUR): []}).files == 0
    assert log_files.files(root) == []


def test_half_a_line_is_refused_before_anything_is_written(writer: LogWriter, root: Path) -> None:
    with pytest.raises(ValueError, match="newline"):
        writer.append({(USER, HOUR): [line(1)], ("00ce69", HOUR): [b"{"]})
    assert log_files.files(root) == []


def steps_of(writer: LogWriter, batch: dict[tuple[str, Hour], list[bytes]]) -> Counter[str]:
    taken: Counter[str] = Counter()
    crash_points.install(lambda name: taken.update([name]))
    writer.append(batch)
    crash_points.install(None)
    return taken


def test_a_new_name_is_made_durable_with_the_folders_that_lead_to_it(writer: LogWriter) -> None:
    writer.check()
    first = steps_of(writer, {(USER, HOUR): [line(1)]})
    assert (first["after write"], first["after fsync"]) == (
        1,
        4,
    )  # the file; its shard's, its hour's and the root folder
    second = steps_of(writer, {(USER, HOUR): [line(2)]})
    assert (second["after write"], second["after fsync"]) == (1, 1)


def test_many_files_share_one_sync_where_that_can_be_trusted(writer: LogWriter) -> None:
    writer.check()
    users = [f"{number:06x}" for number in range(50)]
    taken = steps_of(writer, {(user, HOUR): [line(1, user)] for user in users})
    assert taken["after write"] == 50
    assert taken["after syncfs"] + taken["after fsync"] >= 1
    if group_fsync.reports_errors(writer.root):
        assert (taken["after syncfs"], taken["after fsync"]) == (1, 0)
    else:
        assert taken["after fsync"] >= 50


def test_without_a_trustworthy_syncfs_every_file_and_folder_is_synced(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "reports_errors", lambda _: False)
    writer = make_writer(shards=1)
    writer.check()
    users = [f"{number:06x}" for number in range(50)]
    taken = steps_of(writer, {(user, HOUR): [line(1, user)] for user in users})
    assert (taken["after syncfs"], taken["after fsync"]) == (0, 50 + 3)


def test_files_on_another_file_system_are_synced_by_themselves(writer: LogWriter) -> None:
    """A folder may be a link to another disk, or the volume may have been mounted anew."""
    writer.check()
    users = [f"{number:06x}" for number in range(5)]
    group = writer._ready()._group = group_fsync.GroupCommit(writer.root)
    group.device = -1
    taken = steps_of(writer, {(user, HOUR): [line(1, user)] for user in users})
    assert taken["after fsync"] >= 5
    assert taken["after syncfs"] == 1


def test_nobody_else_may_read_the_files(writer: LogWriter, root: Path) -> None:
    writer.append({(USER, HOUR): [line(1)]})
    assert (root / paths.log_file(USER, HOUR, 4)).stat().st_mode & 0o007 == 0


def test_what_is_synced_by_another_thread_meanwhile_is_not_synced_again(
    writer: LogWriter, root: Path
) -> None:
    """Two appends to one file, then one fsync for both."""
    writer.append({(USER, HOUR): [line(0)]})
    both_wrote = threading.Barrier(2, timeout=10)
    fsyncs: list[str] = []

    def hook(name: str) -> None:
        if name == "after write":
            waiting.append(1)
        if name == "before fsync":
            fsyncs.append(name)

    waiting: list[int] = []
    engine = writer._ready()
    original = engine._sync_each

    def after_both(pieces: list[appender._Piece]) -> int:
        both_wrote.wait()
        return original(pieces)

    engine._sync_each = after_both  # type: ignore[method-assign,assignment]
    crash_points.install(hook)
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(writer.append, {(USER, HOUR): [line(number)]}) for number in (1, 2)]
        assert sorted(one.result().fsyncs for one in done) == [0, 1]
    assert len(fsyncs) == 1
    assert log_files.lines(root) == Counter(map(line, range(3)))


@pytest.mark.parametrize("max_open", [1, 3, 64])
def test_threads_and_processes_lose_no_line_and_tear_none(
    make_writer: MakeWriter, root: Path, max_open: int
) -> None:
    processes, threads, batches = 3, 4, 12
    users = [f"{number:06x}" for number in range(6)]

    def number_of(process: int, thread: int, batch: int) -> int:
        return (process * threads + thread) * batches + batch

    def append_all(process: int) -> None:
        writer = make_writer(max_open=max_open)

        def one(thread: int) -> None:
            for batch in range(batches):
                number = number_of(process, thread, batch)
                some = users if batch % 2 else users[:2]
                writer.append(
                    {
                        (user, HOUR): [line(number, user), line(number + 10_000, user)]
                        for user in some
                    }
                )

        with ThreadPoolExecutor(threads) as workers:
            for done in [workers.submit(one, thread) for thread in range(threads)]:
                done.result()

    children = [log_files.fork(partial(append_all, process)) for process in range(processes)]
    assert [log_files.outcome(child) for child in children] == [0] * processes

    expected: Counter[bytes] = Counter()
    for process in range(processes):
        for thread in range(threads):
            for batch in range(batches):
                number = number_of(process, thread, batch)
                for user in users if batch % 2 else users[:2]:
                    expected.update([line(number, user), line(number + 10_000, user)])
    assert log_files.lines(root) == expected


def test_a_batch_is_not_torn_apart_by_others(make_writer: MakeWriter, root: Path) -> None:
    """The lines of one user in one batch lie side by side, whoever else writes."""

    def one(number: int) -> None:
        make_writer().append({(USER, HOUR): [line(number * 100 + offset) for offset in range(30)]})

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(one, range(40)))
    found = log_files.contents(root).splitlines(keepends=True)
    assert len(found) == 40 * 30
    for start in range(0, len(found), 30):
        number = next(number for number in range(40) if found[start] == line(number * 100))
        assert found[start : start + 30] == [line(number * 100 + offset) for offset in range(30)]


def test_the_pool_stays_below_its_bound_and_below_a_fourth_of_the_limit(
    make_writer: MakeWriter, root: Path
) -> None:
    """64 descriptors for the process, 10 000 log files, 8 threads."""
    users = [f"{number:06x}" for number in range(10_000)]

    def append_all() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        writer = make_writer(max_open=512)
        limit = writer._ready()._pool.limit
        assert limit == 16, limit
        highest = 0

        def one(start: int) -> None:
            nonlocal highest
            writer.append({(user, HOUR): [line(1, user)] for user in users[start : start + 500]})
            highest = max(highest, writer._ready()._pool._open)

        with ThreadPoolExecutor(8) as workers:
            list(workers.map(one, range(0, len(users), 500)))
        assert highest <= limit, highest

    assert log_files.outcome(log_files.fork(append_all)) == 0
    assert log_files.lines(root) == Counter(line(1, user) for user in users)


def test_descriptors_used_up_by_others_make_the_pool_give_back_its_own(
    make_writer: MakeWriter, root: Path
) -> None:
    def run() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        writer = make_writer(max_open=8)
        users = [f"{number:06x}" for number in range(5)]
        writer.append({(user, HOUR): [line(1, user)] for user in users})
        taken = []
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        writer.append(
            {("00ffff", HOUR): [line(1, "00ffff")], ("00fffe", HOUR): [line(1, "00fffe")]}
        )

    assert log_files.outcome(log_files.fork(run)) == 0
    assert len(log_files.files(root)) == 7


def test_a_forked_child_does_not_share_locks_with_its_parent(writer: LogWriter, root: Path) -> None:
    writer.append({(USER, HOUR): [line(0)]})
    inherited = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()  # noqa: PTH112,PTH208

    def append_in_child() -> None:
        writer.append({(USER, HOUR): [line(1)]})
        if inherited:
            assert len(os.listdir("/proc/self/fd")) <= len(inherited)  # noqa: PTH208  (the parent's are closed)

    parents = writer._appender
    assert log_files.outcome(log_files.fork(append_in_child)) == 0
    writer.append({(USER, HOUR): [line(2)]})
    assert writer._appender is parents
    assert log_files.contents(root) == line(0) + line(1) + line(2)


def test_files_that_nobody_uses_are_closed(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append({(USER, HOUR): [line(0)]})
    files = writer._ready()._pool
    later = time.monotonic() + appender.UNUSED + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    writer.append({("00ce69", HOUR): [line(0, "00ce69")]})
    assert open_users(writer) == ["00ce69"]
    assert files._open == 1


def open_users(writer: LogWriter) -> list[str]:
    """Whose files are open, the one used last at the end."""
    return [Path(path).name.split("-")[1] for path in writer._ready()._pool._files]


def test_of_more_files_than_fit_some_are_not_opened_again(
    make_writer: MakeWriter, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users come in turn: each file would be closed just before it is wanted again, were the least
    recently used to go."""
    writer = make_writer(max_open=4)
    users = [f"{number:06x}" for number in range(10)]
    opened: list[str] = []
    really = appender._open_or_create

    def noted(path: str) -> int:
        opened.append(path)
        return really(path)

    monkeypatch.setattr(appender, "_open_or_create", noted)
    in_each_round = []
    for number in range(5):
        opened.clear()
        writer.append({(user, HOUR): [line(number, user)] for user in users})
        in_each_round.append(len(opened))
    assert in_each_round[0] == 10
    assert sum(in_each_round[1:]) <= 4 * 7
    assert log_files.lines(root) == Counter(
        line(number, user) for number in range(5) for user in users
    )


def test_files_of_an_hour_that_is_over_make_way(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(max_open=4)
    writer.append(
        {(user, HOUR): [line(0, user)] for user in ("000001", "000002", "000003", "000004")}
    )
    later = time.monotonic() + open_files._SETTLED + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    writer.append(
        {(user, NEXT_HOUR): [line(0, user, hour=NEXT_HOUR)] for user in ("000005", "000006")}
    )
    assert open_users(writer) == ["000003", "000004", "000005", "000006"]


def test_an_append_does_not_wait_for_all_unused_files_to_be_closed(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "_MOST_CLOSED", 2)
    writer.append({(f"{number:06x}", HOUR): [line(0, f"{number:06x}")] for number in range(5)})
    later = time.monotonic() + appender.UNUSED + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    left = []
    for number in range(3):
        writer.append({("00ce69", HOUR): [line(number, "00ce69")]})
        left.append(len(open_users(writer)))
    assert left == [4, 2, 1]


def test_a_closed_writer_opens_its_files_again(writer: LogWriter, root: Path) -> None:
    writer.append({(USER, HOUR): [line(0)]})
    writer.close()
    writer.close()
    writer.append({(USER, HOUR): [line(1)]})
    assert log_files.contents(root) == line(0) + line(1)


def test_a_file_put_in_the_place_of_the_open_one_is_noticed(writer: LogWriter, root: Path) -> None:
    writer.append({(USER, HOUR): [line(0)]})
    path = root / paths.log_file(USER, HOUR, 4)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    writer.append({(USER, HOUR): [line(1)]})
    path.unlink()
    writer.append({(USER, HOUR): [line(2)]})
    assert aside.read_bytes() == line(0)
    assert path.read_bytes() == line(2)


def test_a_file_that_moved_on_before_its_folder_was_synced_is_no_failure(
    writer: LogWriter, root: Path
) -> None:
    """Sealed, archived and removed, folder and all, between our write and our fsync of the folder."""
    path = root / paths.log_file(USER, HOUR, 4)

    def removed(name: str) -> None:
        if name == "after fsync" and path.exists():
            path.unlink()
            path.parent.rmdir()
            path.parent.parent.rmdir()

    writer.check()
    crash_points.install(removed)
    assert writer.append({(USER, HOUR): [line(1)]}).files == 1
    assert not path.parent.parent.exists()


def test_an_hour_of_one_user_takes_no_more_than_it_may(
    make_writer: MakeWriter, folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "LARGEST_HOUR", 10 * len(line(1)))
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
    more = another.append({(USER, HOUR): [line(number) for number in range(2)]})
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
    assert folder.open_file_of(USER, HOUR, sealed.shard).path.read_bytes() == line(0) + line(
        1
    ) + line(0) + line(1)
