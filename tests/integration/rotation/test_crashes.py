"""A rotator killed at any instruction that changes something, and started again: the archive ends
up the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.line_parser import read_lines
from eagle_logger.disk import crash_points
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import NOW, RETENTION, Disk, Watched, assert_exactly_once, entries_in

KILLED = 9
LINES = demands([3, 1, 2, 2]) + demand(3, 7)


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that dies at this step without tidying up. Returns whether it died
    before the end."""
    child = os.fork()
    if child == 0:
        left = [number]

        def count(_name: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)

        try:
            crash_points.install(count)
            work()
        except BaseException:  # noqa: BLE001  (the child must end here, whatever happens)
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, KILLED}
    return status == KILLED


def stepping(archive: Archive) -> Watched:
    """An archive with a step before and after each request that decides something."""
    return Watched(
        archive,
        lambda what, _: crash_points.step(f"before {what}"),
        lambda what, _: crash_points.step(f"after {what}"),
    )


def test_a_rotation_killed_at_any_step_and_run_again_archives_each_reading_once(
    tmp_path: Path,
) -> None:
    for number in range(1000):
        disk, archive = (
            Disk(tmp_path / f"{number}" / "logs"),
            DirectoryArchive(tmp_path / f"{number}" / "archive"),
        )
        disk.append(LINES)
        if not killed_at(number, lambda: (disk.rotate(stepping(archive)), None)[1]):  # noqa: B023  (called at once)
            break
        disk.rotate(archive)
        assert_exactly_once(archive, LINES)
        assert len(entries_in(archive)) == 1
        assert disk.unarchived() == 0
    assert number > 20


def test_a_rotation_killed_at_any_step_of_a_further_part_or_of_deletion_loses_nothing(
    tmp_path: Path,
) -> None:
    """Again and again on one disk: every run is killed one step later than the run before."""
    disk, archive = Disk(tmp_path / "logs"), DirectoryArchive(tmp_path / "archive")
    written = b""
    for number in range(60):
        lines = demands([number, number + 1])
        written += lines
        disk.append(lines)
        now = NOW + number * RETENTION / 20
        killed_at(number, lambda: (disk.rotate(stepping(archive), now, include_open=True), None)[1])  # noqa: B023
    disk.rotate(archive, NOW + 10 * RETENTION, include_open=True)
    assert_exactly_once(archive, written)
    assert disk.unarchived() == 0
    disk.rotate(archive, NOW + 20 * RETENTION)
    assert disk.folder.hours() == []


class Killed(BaseException):
    """Not an Exception, so that no handler catches it."""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),  # which disk
            st.lists(
                st.tuples(st.integers(0, 6), st.sampled_from(["1", "2"])), max_size=4
            ),  # what is appended
            st.integers(0, 12) | st.none(),  # at which request to the archive the rotator dies
            st.sampled_from([0, RETENTION]),  # how much time passes
        ),
        max_size=12,
    )
)
def test_two_disks_archive_each_reading_once_in_whatever_order_things_happen(
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[int, list[tuple[int, str]], int | None, float]],
) -> None:
    root = tmp_path_factory.mktemp("story")
    disks = [Disk(root / "one"), Disk(root / "other")]
    archive = MemoryArchive()
    written, now = b"", NOW
    for which, lines, dies, passes in story:
        appended = b"".join(demand(offset, value) for offset, value in lines)
        written += appended
        now += passes
        if appended:
            disks[which].append(appended)
        with suppress(Killed):
            disks[which].rotate(dying(archive, dies), now, include_open=True)
    for disk in disks:
        disk.rotate(archive, now, include_open=True)
        assert disk.unarchived() == 0
    assert_exactly_once(archive, written)
    wanted, _ = read_lines(written, CLOUD_ID)
    assert len({line.identity for line in wanted}) == len(
        {line.identity for lines in entries_in(archive).values() for line in lines}
    )


def dying(archive: Archive, at: int | None) -> Archive:
    left = [at if at is not None else 1_000_000]

    def count(_what: str, _key: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return Watched(archive, count, count)


def test_two_rotators_at_once_on_one_disk_or_two_archive_each_reading_once(tmp_path: Path) -> None:
    one, other = Disk(tmp_path / "one"), Disk(tmp_path / "other")
    archive = DirectoryArchive(tmp_path / "archive")
    users = [f"{number:06x}" for number in range(20)]
    written = dict.fromkeys(users, b"")
    failures: list[dict[str, str]] = []
    for turn in range(4):
        for user in users:
            for disk, offsets in ((one, [turn, turn + 1, 30 + turn]), (other, [turn, turn + 2])):
                lines = b"".join(demand(offset, 1, cloud_id=user) for offset in offsets)
                written[user] += lines
                disk.append(lines, user)
        rotators = [
            Thread(
                target=lambda disk: failures.append(disk.rotate(archive, include_open=True).errors),
                args=[disk],
            )
            for disk in (one, one, other, other)
        ]
        for rotator in rotators:
            rotator.start()
        for rotator in rotators:
            rotator.join()
    assert failures == [{}] * 16
    assert (one.unarchived(), other.unarchived()) == (0, 0)
    for user in users:
        assert_exactly_once(archive, written[user], user)


def test_the_hour_of_the_crash_tests_is_one_hour() -> None:
    entries, _ = read_lines(LINES, CLOUD_ID)
    assert {entry.time[:13].decode() for entry in entries} == {HOUR.name[:10] + "T17"}
