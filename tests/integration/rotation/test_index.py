"""What rotation writes into the archive's index, and when."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.index_reading import index_of
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core import archive_index
from eagle_logger.core.hours import Hour
from eagle_logger.core.index_plan import LONGEST_WAIT_S, UNINDEXED_KEPT_S
from eagle_logger.core.paths import INDEX, IndexKey, archive_key, index_prefix
from eagle_logger.errors import ArchiveUnavailable, NotAccepted
from tests.integration.rotation.test_crashes import Killed, dying, killed_at, stepping
from tests.support.archive_index import entries_held, entries_said
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import GRACE, NOW, RETENTION, Disk, Watched, assert_exactly_once

LATER = NOW + LONGEST_WAIT_S
NEXT = Hour(HOUR.end)
USERS = [f"{number:06x}" for number in range(6)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


@pytest.fixture
def archive() -> MemoryArchive:
    return MemoryArchive()


def heads(archive: Archive, hour: Hour = HOUR) -> list[tuple[int, int, int, bool]]:
    """The number, the entries, what waits and whether it is complete, of each index object."""
    return [
        (part.head.name.number, part.head.entries, part.head.waiting, part.head.complete)
        for part in index_of(archive, hour).parts
    ]


def begin(disk: Disk, archive: Archive) -> None:
    """Let the node's index begin with the hour of these tests."""
    disk.folder.root.mkdir()
    disk.index(archive, HOUR.start)


def rotate_only(disk: Disk, archive: Archive, now: float = NOW, **options: bool) -> None:
    """Rotate as workers do: without indexing what was just archived."""
    disk.rotate(archive, now, at_once=None, **options)


def refuse_the_index(what: str, key: str) -> None:
    if what == "put" and key.startswith(INDEX):
        raise ArchiveUnavailable("denied")


def test_a_complete_hour_becomes_one_index_object(disk: Disk, archive: MemoryArchive) -> None:
    begin(disk, archive)
    for user in USERS:
        disk.append(demand(1, 1, cloud_id=user) + demand(7, 1, cloud_id=user), user)
    rotate_only(disk, archive)
    done = disk.index(archive)
    assert (done.objects, done.entries, done.errors) == (1, len(USERS), {})
    assert heads(archive) == [(0, len(USERS), 0, True)]
    assert entries_said(archive) == entries_held(archive)
    assert [(entry.rows, entry.first, entry.last) for entry in entries_said(archive)] == [
        (2, HOUR.start + 1, HOUR.start + 7)
    ] * len(USERS)
    assert disk.index(archive).objects == 0


def test_a_node_that_had_nothing_says_so(disk: Disk, archive: MemoryArchive) -> None:
    begin(disk, archive)
    assert list(archive.keys()) == []
    disk.index(archive, NEXT.end + GRACE)
    assert [heads(archive, hour) for hour in (HOUR, NEXT)] == [[(0, 0, 0, True)]] * 2
    assert len(list(archive.keys())) == 2


def test_a_hand_made_rotation_without_a_log_volume_makes_none(
    tmp_path: Path, archive: MemoryArchive
) -> None:
    Disk(tmp_path / "absent").index(archive)
    assert list(tmp_path.iterdir()) == []


def test_hours_from_before_the_index_are_indexed_and_not_called_complete(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1]))
    rotate_only(disk, archive)
    disk.index(archive, NOW)
    assert heads(archive) == []  # an hour that is called complete is indexed at once, others wait
    disk.index(archive, LATER)
    assert heads(archive) == [(0, 1, 0, False)]


def test_late_parts_wait_for_others_and_become_the_next_number(
    disk: Disk, archive: MemoryArchive
) -> None:
    begin(disk, archive)
    disk.append(demands([1]))
    rotate_only(disk, archive)
    disk.index(archive)
    for offset in (2, 3):
        disk.append(demands([offset]))
        rotate_only(disk, archive, NOW + 600 * offset, include_open=True)
        assert disk.index(archive, NOW + 600 * offset).objects == 0
    disk.index(archive, NOW + 1200 + LONGEST_WAIT_S)
    assert heads(archive) == [(0, 1, 0, True), (1, 2, 0, True)]
    assert entries_said(archive) == entries_held(archive)


def test_a_stuck_home_holds_the_others_back_for_an_hour_at_most(
    disk: Disk, archive: MemoryArchive
) -> None:
    begin(disk, archive)
    stuck = USERS[0]

    def refuse(what: str, key: str) -> None:
        if what == "put" and key == archive_key(stuck, HOUR):
            raise ArchiveUnavailable("answered InvalidObjectState")

    for user in USERS:
        disk.append(demand(1, 1, cloud_id=user), user)
    rotate_only(disk, Watched(archive, before=refuse))
    assert disk.index(archive).objects == 0
    disk.index(archive, LATER)
    assert heads(archive) == [(0, len(USERS) - 1, 1, False)]
    rotate_only(disk, archive, LATER)
    disk.index(archive, LATER)
    assert heads(archive) == [(0, len(USERS) - 1, 1, False), (1, 1, 0, True)]
    assert entries_said(archive) == entries_held(archive)


def test_a_file_that_is_set_aside_leaves_the_hour_complete(
    disk: Disk, archive: MemoryArchive
) -> None:
    begin(disk, archive)

    def refuse(what: str, key: str) -> None:
        if what == "put" and INDEX not in key:
            raise NotAccepted("never")

    disk.append(demands([1]))
    rotate_only(disk, Watched(archive, before=refuse))
    disk.index(archive)
    assert heads(archive) == [(0, 0, 0, True)]


def test_a_file_with_nothing_new_is_not_named(disk: Disk, archive: MemoryArchive) -> None:
    for _ in range(2):
        disk.append(demands([1, 2]))
        disk.rotate(archive, include_open=True)
    assert len(disk.folder.sealed_files(HOUR, "07")) == 2
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 1


def test_a_large_hour_becomes_a_few_objects_and_only_the_last_is_complete(
    disk: Disk, archive: MemoryArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_index, "MOST_ENTRIES", 4)
    begin(disk, archive)
    for user in USERS:
        disk.append(demand(1, 1, cloud_id=user), user)
    disk.rotate(archive)
    assert heads(archive) == [(0, 4, 0, False), (1, 2, 0, True)]
    assert entries_said(archive) == entries_held(archive)


def test_no_file_is_deleted_before_its_part_is_indexed(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1, 2]))
    rotate_only(disk, archive)
    expired = NOW + RETENTION
    rotate_only(disk, archive, expired)
    assert len(disk.folder.sealed_files(HOUR, "07")) == 1
    assert disk.plan(expired) == []
    disk.index(archive, expired)
    assert disk.rotate(archive, expired).removed == 1


def test_a_part_that_was_stored_without_a_receipt_is_indexed_though_more_lines_came(
    disk: Disk, archive: MemoryArchive
) -> None:
    """The store took the part and then refused to describe it. When it answers again, the open file
    has more lines, and its part would be another: nobody else knows of the first."""

    def refuse_to_describe(what: str, key: str) -> None:
        if what == "head" and key == archive_key(CLOUD_ID, HOUR):
            raise ArchiveUnavailable("denied")

    begin(disk, archive)
    disk.append(demands([1]))
    rotate_only(disk, Watched(archive, before=refuse_to_describe), include_open=True)
    [sealed] = disk.folder.sealed_files(HOUR, "07")
    sealed.path.write_bytes(demands([1, 2]))
    rotate_only(disk, archive, LATER)
    assert len(list(archive.keys("cloud_id="))) == 2
    disk.index(archive, LATER)
    assert entries_said(archive) == entries_held(archive)
    assert disk.rotate(archive, LATER + RETENTION).removed_unindexed == 0


def test_a_part_that_holds_all_lines_of_a_file_is_indexed_by_that_file(
    disk: Disk, archive: MemoryArchive
) -> None:
    begin(disk, archive)
    key = archive_key(CLOUD_ID, HOUR)
    other = Disk(disk.folder.root.parent / "other")
    other.append(demands([1, 2, 3]))
    other.rotate(archive, at_once=None)
    disk.append(demands([2, 3]))
    rotate_only(disk, archive)
    [sealed] = disk.folder.sealed_files(HOUR, "07")
    assert sealed.receipt is not None
    assert sealed.receipt.key is None
    assert sealed.receipt.keys == {key}
    disk.index(archive)
    assert [entry.key for entry in entries_said(archive)] == [key]
    assert entries_said(archive) == entries_held(archive)


def test_an_index_that_cannot_be_written_keeps_a_file_for_a_day_longer(
    disk: Disk, archive: MemoryArchive
) -> None:
    refusing = Watched(archive, before=refuse_the_index)
    disk.append(demands([1, 2]))
    for now in (NOW, NOW + RETENTION, NOW + RETENTION + UNINDEXED_KEPT_S - 1):
        assert disk.rotate(refusing, now).removed == 0
        assert disk.index(refusing, now, at_once=True).errors
        assert disk.folder.unindexed_hours() == {HOUR: NOW}
    rotated = disk.rotate(refusing, NOW + RETENTION + UNINDEXED_KEPT_S)
    assert (rotated.removed, rotated.removed_unindexed) == (1, 1)
    assert "1 deleted file that no index object names" in str(rotated)
    assert disk.folder.unindexed_hours() == {}


def test_an_hour_whose_parts_were_deleted_unindexed_is_never_called_complete(
    disk: Disk, archive: MemoryArchive
) -> None:
    begin(disk, archive)
    disk.append(demands([1, 2]))
    rotate_only(disk, archive)
    assert disk.index(Watched(archive, before=refuse_the_index)).errors
    rotate_only(disk, archive, NOW + RETENTION + UNINDEXED_KEPT_S)
    assert disk.folder.hours() == []
    disk.index(archive, NOW + 40 * 3600)
    assert heads(archive) == []
    assert heads(archive, NEXT) == [(0, 0, 0, True)]


def test_an_hour_whose_only_file_was_set_aside_is_called_complete(
    disk: Disk, archive: MemoryArchive
) -> None:
    """It was looked at while the file waited, and a note of that is left."""
    begin(disk, archive)
    disk.append(demands([1]))
    os.utime(disk.path().parent, (1, 1))
    disk.index(archive)
    assert (disk.folder.root / "indexed" / HOUR.name / "state.json").exists()
    disk.path().unlink()
    disk.path().parent.rmdir()
    disk.path().parent.parent.rmdir()
    disk.index(archive, LATER)
    assert heads(archive) == [(0, 0, 0, True)]


def test_a_part_that_waits_for_others_is_noted_until_it_is_indexed(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1]))
    rotate_only(disk, archive)
    disk.index(archive)
    assert disk.folder.unindexed_hours() == {HOUR: NOW}
    disk.index(archive, LATER)
    assert disk.folder.unindexed_hours() == {}


def test_a_failing_index_is_given_up_for_the_round_after_a_few_hours(
    disk: Disk, archive: MemoryArchive
) -> None:
    asked: list[str] = []

    def refuse(what: str, key: str) -> None:
        if what == "put" and key.startswith(INDEX):
            asked.append(key)
            raise ArchiveUnavailable("denied")

    for back in range(20):
        hour = Hour(HOUR.start - back * 3600)
        disk.append(demand(1, 1, hour=hour), hour=hour)
    rotate_only(disk, archive)
    assert len(disk.index(Watched(archive, before=refuse), LATER).errors) == 3
    assert len(asked) == 3


def test_without_the_copies_the_index_objects_are_read_from_the_archive(
    disk: Disk, archive: MemoryArchive
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    shutil.rmtree(disk.folder.root / "indexed")
    disk.append(demands([3]))
    disk.rotate(archive, include_open=True)
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 2
    assert disk.rotate(archive, NOW + RETENTION).removed == 2


@pytest.mark.parametrize("damage", [b"", b"rubbish"])
def test_a_damaged_copy_is_read_from_the_archive(
    disk: Disk, archive: MemoryArchive, damage: bytes
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    [copy] = (disk.folder.root / "indexed").rglob("*.gz")
    whole = copy.read_bytes()
    copy.write_bytes(damage)
    disk.append(demands([3]))
    disk.rotate(archive, include_open=True)
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 2
    assert copy.read_bytes() == whole


def test_a_volume_with_a_new_name_repeats_nothing(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    (disk.folder.root / "node-id").unlink()
    disk.append(demands([3]))
    disk.rotate(archive, include_open=True)
    assert entries_said(archive) == entries_held(archive)
    assert sorted(part.head.name.number for part in index_of(archive, HOUR).parts) == [0, 0]


def test_a_fault_of_the_program_in_one_hour_keeps_no_other_hour(
    disk: Disk, archive: MemoryArchive
) -> None:
    other = Hour(HOUR.start - 3600)

    def fail(what: str, key: str) -> None:
        if what == "put" and key.startswith(index_prefix(other)):
            raise RuntimeError("a mistake")

    for hour in (other, HOUR):
        disk.append(demand(1, 1, hour=hour), hour=hour)
    rotate_only(disk, archive)
    done = disk.index(Watched(archive, before=fail), at_once=True)
    assert done.errors == {f"index of {other}": "a mistake"}
    assert entries_said(archive, HOUR) == entries_held(archive, HOUR)


def test_the_copies_of_an_hour_go_once_it_is_long_over(disk: Disk, archive: MemoryArchive) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    for days in range(1, 6):
        disk.rotate(archive, NOW + days * RETENTION)
    folders = sorted(path.name for path in (disk.folder.root / "indexed").iterdir())
    assert len(folders) <= 73
    assert HOUR.name not in folders
    assert disk.folder.hours() == []


def test_a_receipt_that_is_written_at_the_moment_of_indexing_is_indexed_later(
    disk: Disk, archive: MemoryArchive
) -> None:
    """A shard may be rotated while its hour is indexed."""
    disk.append(demand(1, 1, cloud_id=USERS[0]), USERS[0])
    rotate_only(disk, archive)
    disk.append(demand(1, 1, cloud_id=USERS[1]), USERS[1])

    def rotate_meanwhile(what: str, key: str) -> None:
        if what == "put" and INDEX in key:
            rotate_only(disk, archive)

    disk.index(Watched(archive, before=rotate_meanwhile), at_once=True)
    disk.index(archive, at_once=True)
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 2


def test_an_index_object_that_another_process_of_the_node_wrote_counts(
    disk: Disk, archive: MemoryArchive, tmp_path: Path
) -> None:
    """A volume and its clone index at once: no part is named twice, and none is left out."""
    disk.append(demand(1, 1, cloud_id=USERS[0]), USERS[0])
    rotate_only(disk, archive)
    disk.folder.node()
    shutil.copytree(disk.folder.root, tmp_path / "clone")
    clone = Disk(tmp_path / "clone")
    clone.append(demand(2, 1, cloud_id=USERS[1]), USERS[1])
    clone.rotate(archive)
    disk.append(demand(3, 1, cloud_id=USERS[2]), USERS[2])
    disk.rotate(archive)
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 3


def indexes_all(disk: Disk, archive: Archive, now: float = NOW) -> bool:
    disk.rotate(archive, now, include_open=True)
    return entries_said(archive) == entries_held(archive)


@pytest.mark.parametrize("start", [NOW, HOUR.start], ids=["begun", "new"])
def test_a_rotation_killed_at_any_step_and_run_again_indexes_each_part_once(
    tmp_path: Path, start: float
) -> None:
    lines = {user: demand(1, 1, cloud_id=user) for user in USERS[:2]}
    for number in range(1000):
        root = tmp_path / f"{number}"
        disk, archive = Disk(root / "logs"), DirectoryArchive(root / "archive")
        disk.folder.root.mkdir(parents=True)
        disk.index(archive, start)
        for user, text in lines.items():
            disk.append(text, user)
        if not killed_at(number, lambda: (disk.rotate(stepping(archive)), None)[1]):  # noqa: B023  (called at once)
            break
        assert indexes_all(disk, archive)
        assert len(entries_said(archive)) == 2
        assert not list(root.rglob("*.new"))
        for user, text in lines.items():
            assert_exactly_once(archive, text, user)
    assert number > 40


def test_rotations_killed_at_each_step_in_turn_index_each_part_once(tmp_path: Path) -> None:
    """Again and again on one disk: further parts, further index objects, and deletion."""
    disk, archive = Disk(tmp_path / "logs"), DirectoryArchive(tmp_path / "archive")
    now = NOW
    for number in range(90):
        disk.append(demands([number]))
        now = NOW + number * RETENTION / 70
        killed_at(number, lambda: (disk.rotate(stepping(archive), now, include_open=True), None)[1])  # noqa: B023
    assert indexes_all(disk, archive, now)
    disk.rotate(archive, now + RETENTION)
    assert disk.folder.hours() == []
    assert entries_said(archive) == entries_held(archive)


@pytest.mark.parametrize("request_number", range(6))
def test_an_index_whose_writer_dies_at_any_request_is_written_once(
    disk: Disk, archive: MemoryArchive, request_number: int
) -> None:
    for part in range(3):
        disk.append(demands([part]))
        rotate_only(disk, archive, include_open=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archive_index, "MOST_ENTRIES", 1)
            with suppress(Killed):
                disk.index(dying(archive, request_number), at_once=True)
    disk.index(archive, at_once=True)
    assert entries_said(archive) == entries_held(archive)
    assert len(entries_said(archive)) == 3


def at_once(*acts: Callable[[], object]) -> None:
    threads = [Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_rotators_at_once_on_one_disk_and_on_two_index_each_part(tmp_path: Path) -> None:
    """Each node names a part once; both may name one, if its number was taken when they put."""
    one, other = Disk(tmp_path / "one"), Disk(tmp_path / "other")
    archive = DirectoryArchive(tmp_path / "archive")
    for turn in range(4):
        for number, user in enumerate(USERS):
            one.append(demand(10 * turn + number, 1, cloud_id=user), user)
            other.append(demand(100 + 10 * turn + number, 1, cloud_id=user), user)
        at_once(
            *(
                lambda disk=disk: disk.rotate(archive, include_open=True)
                for disk in (one, one, other, other)
            )
        )
    for disk in (one, other):
        disk.rotate(archive, include_open=True)
        disk.index(archive, at_once=True)
    assert sorted(set(entries_said(archive))) == entries_held(archive)
    named = [
        (part.head.name.node, entry.key)
        for part in index_of(archive, HOUR).parts
        for entry in part.entries
    ]
    assert len(set(named)) == len(named)
    assert {part.head.name.node for part in index_of(archive, HOUR).parts} == {
        one.folder.node(),
        other.folder.node(),
    }


def test_an_index_object_is_never_replaced(disk: Disk, archive: MemoryArchive) -> None:
    bodies: dict[str, bytes] = {}
    for number in range(6):
        disk.append(demands([number]))
        disk.rotate(archive, NOW + 600 * number, include_open=True)
        for key in archive.keys(INDEX):
            body = archive.get(key)
            assert bodies.setdefault(key, body) == body


def test_the_queries_of_the_docs_do_not_match_the_index(disk: Disk, tmp_path: Path) -> None:
    archive = DirectoryArchive(tmp_path / "archive")
    disk.append(demands([1]))
    disk.rotate(archive)
    key = IndexKey(HOUR, disk.folder.node(), 0).key
    assert (tmp_path / "archive" / key).is_file()
    matched = (tmp_path / "archive").glob("*/*/*.jsonl.gz")
    assert [path.relative_to(tmp_path / "archive").as_posix() for path in matched] == [
        archive_key(CLOUD_ID, HOUR)
    ]
