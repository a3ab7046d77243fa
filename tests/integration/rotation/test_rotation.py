"""Rotation on real files, with an archive in memory unless S3 itself is the matter."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

import pytest

from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import INDEX, archive_key
from eagle_logger.core.rotation_plan import FIRST_RETRY_PAUSE_S
from eagle_logger.core.sealing import gunzipped
from eagle_logger.disk import crash_points
from eagle_logger.errors import ArchiveUnavailable, EagleError, NotAccepted
from eagle_logger.rotation import archive_user_hour
from eagle_logger.rotation.rotation_result import RotationResult
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import (
    NOW,
    RETENTION,
    SHARD,
    Disk,
    Watched,
    assert_exactly_once,
    entries_in,
    times,
)

KEY = archive_key(CLOUD_ID, HOUR)
USERS = [f"{number:06x}" for number in range(12)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


def users_lines(cloud_id: str) -> bytes:
    return b"".join(demand(offset, 1, cloud_id=cloud_id) for offset in range(3))


def test_a_complete_hour_becomes_one_object(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([5, 1, 3, 3]))
    done = disk.rotate(archive)
    assert (done.users, done.objects, done.rows, done.duplicates, done.errors) == (1, 1, 3, 1, {})
    assert {key: len(entries) for key, entries in entries_in(archive).items()} == {KEY: 3}
    assert times(archive) == [1, 3, 5]


def test_an_objects_metadata_says_what_it_holds(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1, 3]))
    disk.rotate(archive)
    info = archive.head(KEY)
    assert info is not None
    assert {
        name: info.metadata[name] for name in ("rows", "first-time", "last-time", "schema-version")
    } == {
        "rows": "2",
        "first-time": "2026-03-10T17:00:01Z",
        "last-time": "2026-03-10T17:00:03Z",
        "schema-version": "1",
    }
    assert info.metadata["object-sha256"] == info.sha256
    [receipt] = [sealed.receipt for sealed in disk.folder.sealed_files(HOUR, SHARD)]
    assert receipt is not None
    assert (receipt.part, receipt.key, receipt.rows, receipt.first, receipt.last) == (
        0,
        KEY,
        2,
        HOUR.start + 1,
        HOUR.start + 3,
    )
    assert (receipt.sha256_lines, receipt.sha256_object, receipt.size, receipt.archived_at) == (
        info.metadata["plain-sha256"],
        info.sha256,
        info.size,
        NOW,
    )


def test_an_hour_is_left_alone_until_its_grace_is_over(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1]))
    assert disk.plan(NOW - 1) == []
    assert disk.plan(NOW) == [(HOUR, SHARD)]
    assert disk.rotate(archive, NOW - 1) == RotationResult()
    assert disk.path().exists()


def test_a_late_file_is_left_alone_for_an_hour(disk: Disk) -> None:
    arrived = HOUR.end + 5 * 3600.0
    disk.append(demand(1, 1, arrived=arrived))
    assert disk.plan(arrived + 3599) == []
    assert disk.plan(arrived + 3600) == [(HOUR, SHARD)]


def test_a_file_of_a_future_hour_is_archived_an_hour_after_it_was_begun(
    disk: Disk, archive: MemoryArchive
) -> None:
    future = Hour(HOUR.start + 1000 * 3600)
    disk.append(demand(1, 1, hour=future, arrived=HOUR.start), hour=future)
    assert disk.plan(HOUR.start + 3599) == []
    disk.rotate(archive, HOUR.start + 3600)
    assert list(archive.keys("cloud_id=")) == [archive_key(CLOUD_ID, future)]
    disk.rotate(archive, HOUR.start + 3600 + RETENTION)
    assert disk.folder.hours() == []


def test_oldest_hours_come_first(disk: Disk) -> None:
    hours = [Hour(HOUR.start - back * 3600) for back in (1, 3, 2)]
    for hour in hours:
        disk.append(demand(1, 1, hour=hour), hour=hour)
    assert disk.plan() == [(hour, SHARD) for hour in sorted(hours)]


def test_open_hours_are_archived_on_request_as_further_parts(
    disk: Disk, archive: MemoryArchive
) -> None:
    for offset in range(4):
        disk.append(demands([offset, offset + 1]))
        disk.rotate(archive, HOUR.start + 60 * offset, include_open=True)
    assert list(archive.keys("cloud_id=")) == sorted(
        archive_key(CLOUD_ID, HOUR, part) for part in range(4)
    )
    assert_exactly_once(archive, demands(range(5)))


def test_parts_that_were_written_here_are_not_fetched_from_the_archive(
    disk: Disk, archive: MemoryArchive
) -> None:
    gets: Counter[str] = Counter()
    watched = Watched(archive, before=lambda what, key: gets.update([what] * (INDEX not in key)))
    for part in range(20):
        disk.append(demands([0, part]))
        disk.rotate(watched, HOUR.start + 60, include_open=True)
    assert (gets["get"], gets["put"], gets["head"]) == (0, 20, 20)
    assert_exactly_once(archive, demands(range(20)))


def test_a_local_file_that_was_changed_proves_nothing(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1, 2, 3]))
    disk.rotate(archive)
    [sealed] = disk.folder.sealed_files(HOUR, SHARD)
    sealed.path.write_bytes(demands([1, 2, 3, 4]))
    disk.append(demands([3, 4]))
    disk.rotate(archive, include_open=True)
    assert_exactly_once(archive, demands([1, 2, 3, 4]))


def test_late_readings_become_a_further_part_that_repeats_nothing(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    disk.append(demand(2, "0.944", arrived=NOW + 5) + demand(3, "0.944", arrived=NOW + 5))
    assert disk.rotate(archive, NOW + 3605).duplicates == 1
    assert list(archive.keys("cloud_id=")) == [archive_key(CLOUD_ID, HOUR, 1), KEY]
    assert times(archive) == [1, 2, 3]


def test_a_file_with_nothing_new_gets_a_receipt_and_no_object(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    disk.append(demands([2, 1]))
    done = disk.rotate(archive, include_open=True)
    assert (done.objects, done.rows, done.duplicates) == (0, 0, 2)
    receipts = [sealed.receipt for sealed in disk.folder.sealed_files(HOUR, SHARD)]
    assert [receipt.part for receipt in receipts if receipt] == [0, None]
    assert list(archive.keys("cloud_id=")) == [KEY]


def test_another_value_for_an_archived_reading_is_kept_and_flagged(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demand(1, 1))
    disk.rotate(archive)
    disk.append(demand(1, 2))
    assert disk.rotate(archive, include_open=True).conflicts == 1
    [entry] = entries_in(archive)[archive_key(CLOUD_ID, HOUR, 1)]
    assert json.loads(entry.text)["flags"] == ["conflict"]


def test_two_disks_of_one_user_do_not_repeat_each_other(
    tmp_path: Path, archive: MemoryArchive
) -> None:
    one, other = Disk(tmp_path / "one"), Disk(tmp_path / "other")
    one.append(demands([1, 2, 3]))
    other.append(demands([3, 4]))
    for disk in (one, other):
        disk.rotate(archive)
    for offset in range(5, 9):
        for disk in (one, other):
            disk.append(demands([offset - 2, offset, offset + 1]))
            disk.rotate(archive, include_open=True)
    assert_exactly_once(archive, demands(range(1, 10)))


def test_archived_files_are_deleted_when_their_retention_is_over_and_not_before(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1]))
    disk.rotate(archive)
    archived = NOW
    assert disk.plan(archived + RETENTION - 1) == []
    assert disk.rotate(archive, archived + RETENTION).removed == 1
    assert disk.folder.hours() == []
    assert times(archive) == [1]


def test_late_lines_after_the_local_file_is_gone_are_compared_with_the_archive(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    disk.rotate(archive, NOW + RETENTION)
    disk.append(demands([2, 3]))
    disk.rotate(archive, NOW + RETENTION + 1, include_open=True)
    assert_exactly_once(archive, demands([1, 2, 3]))


def test_unreadable_lines_are_kept_aside_and_the_others_are_archived(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(
        demands([1])
        + b"rubbish\n"
        + demands([2])
        + demand(3, 1, cloud_id="00ce69")
        + demands([4])[:50]
    )
    done = disk.rotate(archive)
    assert (done.rows, done.quarantined, done.errors) == (2, 2, {})
    kept = disk.quarantined()
    assert any(
        content == b"rubbish\n" + demand(3, 1, cloud_id="00ce69") for content in kept.values()
    )
    assert any(
        b"a line of the user 00ce69" in content
        for name, content in kept.items()
        if name.endswith(".reason")
    )
    assert all(name.startswith(f"rainforest-{CLOUD_ID}-{HOUR}") for name in kept)


def test_a_file_of_unreadable_lines_gets_a_receipt_and_no_object(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(b"rubbish\n" * 3)
    done = disk.rotate(archive, include_open=True)
    assert (done.objects, done.quarantined, disk.unarchived()) == (0, 3, 0)


def test_a_file_that_the_archive_will_never_take_is_quarantined_with_the_reason(
    disk: Disk, archive: MemoryArchive
) -> None:
    def never(what: str, key: str) -> None:
        if what == "put" and CLOUD_ID in key:
            raise NotAccepted("too large for this store")

    disk.append(demands([1]))
    disk.append(users_lines("00ce69"), "00ce69")
    done = disk.rotate(Watched(archive, before=never))
    assert done.errors == {CLOUD_ID: "too large for this store"}
    assert sorted(disk.quarantined().values()) == sorted(
        [demands([1]), b"too large for this store\n"]
    )
    assert list(archive.keys("cloud_id=")) == [archive_key("00ce69", HOUR)]
    assert disk.plan() == []


def test_one_users_failure_stops_no_other_user(disk: Disk, archive: MemoryArchive) -> None:
    def trip(what: str, key: str) -> None:
        if USERS[3] in key:
            raise ZeroDivisionError("a mistake in the code")

    for cloud_id in USERS:
        disk.append(users_lines(cloud_id), cloud_id)
    done = disk.rotate(Watched(archive, before=trip))
    assert done.errors == {USERS[3]: "ZeroDivisionError('a mistake in the code')"}
    assert (done.objects, done.stuck, disk.unarchived()) == (len(USERS) - 1, 1, 1)
    assert disk.rotate(archive, NOW + FIRST_RETRY_PAUSE_S).objects == 1


def test_a_disk_that_fails_for_one_file_stops_no_other_user(
    disk: Disk, archive: MemoryArchive
) -> None:
    for cloud_id in USERS[:3]:
        disk.append(users_lines(cloud_id), cloud_id)
    disk.folder.seal(disk.folder.open_files(HOUR, SHARD)[1])
    [sealed] = disk.folder.sealed_files(HOUR, SHARD)
    content = sealed.path.read_bytes()
    sealed.path.unlink()
    sealed.path.mkdir()
    done = disk.rotate(archive)
    assert (done.objects, list(done.errors)) == (2, [USERS[1]])
    sealed.path.rmdir()
    sealed.path.write_bytes(content)
    assert disk.rotate(archive, heed_pauses=False).objects == 1


def test_an_archive_that_is_away_leaves_everything_for_next_time(
    disk: Disk, archive: MemoryArchive
) -> None:
    def away(what: str, key: str) -> None:
        tries.append(key)
        raise ArchiveUnavailable("away")

    tries: list[str] = []
    for cloud_id in USERS * 3:
        disk.append(users_lines(cloud_id), cloud_id)
    done = disk.rotate(Watched(archive, before=away))
    assert done.deferred == len(USERS)
    assert (done.objects, len(tries) < len(USERS)) == (0, True)
    assert disk.unarchived() == len(USERS)
    assert disk.rotate(archive).objects == len(USERS)
    for cloud_id in USERS:
        assert_exactly_once(archive, users_lines(cloud_id), cloud_id)


def test_rotation_stops_between_users_on_request(disk: Disk, archive: MemoryArchive) -> None:
    for cloud_id in USERS:
        disk.append(users_lines(cloud_id), cloud_id)
    done = disk.rotate(archive, stopping=lambda: len(list(archive.keys("cloud_id="))) > 0)
    assert 0 < done.objects < len(USERS)
    assert done.objects + done.deferred == len(USERS)
    assert disk.rotate(archive).objects == len(USERS) - done.objects


def test_a_shard_that_another_rotator_holds_is_not_touched(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1]))
    with disk.folder.rotating(HOUR, SHARD) as mine:
        assert mine
        done = disk.rotate(archive)
    assert (done.busy, str(done), list(archive.keys("cloud_id="))) == (
        1,
        "another process rotates it",
        [],
    )


def test_a_rotation_result_in_words_names_the_counts_that_are_not_0() -> None:
    done = RotationResult(cloud_ids=("002738", "00a1b2"), objects=2, rows=30) + RotationResult(
        cloud_ids=("00ce69",), duplicates=3, errors={"00ce69": "why"}
    )
    assert str(done) == "3 users, 2 objects, 30 rows, 3 duplicates dropped, 1 user with errors"


def test_a_file_larger_than_any_that_is_written_is_archived_in_pieces(
    disk: Disk, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = demands(range(100))
    monkeypatch.setattr(archive_user_hour, "LARGEST_HOUR", len(lines) // 4)
    disk.append(lines)
    disk.append(demands([1, 99]))
    done = disk.rotate(archive)
    assert (done.rows, done.duplicates, done.errors) == (100, 2, {})
    assert sorted(times(archive)) == list(range(100))
    files = disk.folder.sealed_files(HOUR, SHARD)
    assert len(files) > 4
    assert all(file.receipt and file.path.stat().st_size <= len(lines) // 4 for file in files)
    assert disk.rotate(archive).rows == 0


def test_a_large_file_whose_archiving_was_interrupted_is_archived_once(
    disk: Disk, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = demands(range(100))
    monkeypatch.setattr(archive_user_hour, "LARGEST_HOUR", len(lines) // 4)
    for step in ("before unlink", "after link", "before rename", "after rename"):
        disk.append(lines)
        seen = 0

        def ended(name: str, step: str = step) -> None:
            nonlocal seen
            seen += name == step
            if seen == 3:
                raise OSError("the process is killed here")

        crash_points.install(ended)
        with contextlib.suppress(OSError, EagleError):
            disk.rotate(archive)
        crash_points.install(None)
        disk.rotate(archive)
        assert disk.unarchived() == 0
    assert sorted(times(archive)) == list(range(100))


def test_lines_that_a_newer_version_wrote_are_archived_as_they_are(
    disk: Disk, archive: MemoryArchive
) -> None:
    newer = demand(1, 1).replace(b'"kind":"demand"', b'"kind":"gas"') + demand(2, 1).replace(
        b'"v":1', b'"v":2'
    )
    unknown = demand(3, 1).replace(b'"v":1', b'"v":2').replace(b'"time"', b'"moment"')
    disk.append(newer + unknown)
    done = disk.rotate(archive)
    assert (done.rows, done.quarantined) == (2, 1)
    assert gunzipped(archive.get(KEY)) == newer
    assert unknown in disk.quarantined().values(), "nothing is thrown away"
