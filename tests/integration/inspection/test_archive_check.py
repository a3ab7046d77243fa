"""What `eagle-logger check` finds, and both `check` and `rotate` by hand on a data directory."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.cli.main import main
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import read_lines
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.core.sealing import LARGEST_OBJECT, part_of
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.inspection.archive_check import ArchiveCheck, audit
from eagle_logger.inspection.user_readings import UserReadings
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import NOW, RETENTION, Disk, Watched

KEY = archive_key(CLOUD_ID, HOUR)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


@pytest.fixture
def archive(tmp_path: Path) -> DirectoryArchive:
    return DirectoryArchive(tmp_path / "archive")


def put(archive: DirectoryArchive, lines: bytes, part: int, hour: Hour = HOUR) -> None:
    made = part_of(read_lines(lines, CLOUD_ID)[0], {})
    body = made.compressed()
    archive.put(archive_key(CLOUD_ID, hour, part), body, made.metadata(body))


def kinds_of_findings(check: ArchiveCheck) -> list[str]:
    return sorted(finding.what for finding in check.findings)


def test_check_finds_nothing_after_rotation(disk: Disk, archive: DirectoryArchive) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    disk.append(b"rubbish\n" + demands([2, 3]))
    disk.rotate(archive, include_open=True)
    disk.append(demands([4]))
    check = audit(disk.folder, archive)
    assert check == ArchiveCheck(
        objects=2,
        readings=3,
        log_files=3,
        receipts=2,
        waiting=1,
        quarantined=1,
        index_objects=2,
    )


def refusing(archive: DirectoryArchive, *, ping: bool) -> Watched:
    """An archive that refuses the object of KEY. It answers a ping only if `ping` is True."""

    def refuse(what: str, key: str) -> None:
        if what == "get" and key == KEY:
            raise ArchiveUnavailable("answered InvalidObjectState")

    def away() -> None:
        raise ArchiveUnavailable("away")

    watched = Watched(archive, before=refuse)
    if not ping:
        watched.ping = away  # type: ignore[method-assign]
    return watched


def test_an_object_that_the_store_refuses_is_reported_and_the_rest_is_checked(
    disk: Disk, archive: DirectoryArchive
) -> None:
    disk.append(demands([1, 2]))
    disk.append(demand(1, 1, cloud_id="00ce69"), "00ce69")
    disk.rotate(archive)
    check = audit(disk.folder, refusing(archive, ping=True))
    assert [str(finding) for finding in check.findings] == [
        f"unreadable: {KEY}: answered InvalidObjectState"
    ]
    assert (check.objects, check.readings) == (2, 1)
    with pytest.raises(ArchiveUnavailable):
        audit(disk.folder, refusing(archive, ping=False))


def test_an_object_that_is_gone_is_missing(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    disk.append(demands([1, 2]))
    disk.rotate(archive)
    (tmp_path / "archive" / KEY).unlink()
    readings, named = audit(disk.folder, archive).findings
    assert (readings.what, named.what, named.where) == ("missing", "missing", KEY)
    assert "2 of its readings" in readings.detail
    assert named.detail == f"{IndexKey(HOUR, disk.folder.node(), 0).key} names it"


def test_a_gap_in_the_parts_is_missing(disk: Disk, archive: DirectoryArchive) -> None:
    put(archive, demands([1]), 1)
    assert kinds_of_findings(audit(disk.folder, archive)) == ["missing"]


def test_what_two_parts_hold_is_doubled(disk: Disk, archive: DirectoryArchive) -> None:
    put(archive, demands([1, 2]), 0)
    put(archive, demands([2, 3]), 1)
    assert kinds_of_findings(audit(disk.folder, archive)) == ["doubled"]


def test_an_object_that_cannot_be_opened_is_unreadable(
    disk: Disk, archive: DirectoryArchive
) -> None:
    archive.put(KEY, b"rubbish", {})
    assert kinds_of_findings(audit(disk.folder, archive)) == ["unreadable"]


def test_an_object_that_was_changed_is_damaged(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    put(archive, demands([1, 2]), 0)
    (tmp_path / "archive" / KEY).write_bytes(
        part_of(read_lines(demands([1]), CLOUD_ID)[0], {}).compressed()
    )
    assert kinds_of_findings(audit(disk.folder, archive)) == ["damaged", "damaged"]


def test_a_line_under_another_hour_is_misfiled(disk: Disk, archive: DirectoryArchive) -> None:
    put(archive, demand(1, 1), 0, Hour(HOUR.start + 3600))
    assert kinds_of_findings(audit(disk.folder, archive)) == ["misfiled"]


def test_a_receipt_that_cannot_be_read_is_reported_and_made_anew(
    disk: Disk, archive: DirectoryArchive
) -> None:
    disk.append(demands([1]))
    disk.rotate(archive)
    [sealed] = disk.folder.sealed_files(HOUR, "07")
    sealed.receipt_path.write_text("rubbish")
    assert kinds_of_findings(audit(disk.folder, archive)) == ["unreadable"]
    disk.rotate(archive, NOW + RETENTION)  # of receipts of the last day, only the names are read
    check = audit(disk.folder, archive)
    assert check == ArchiveCheck(
        objects=1, readings=1, log_files=1, receipts=1, index_objects=check.index_objects
    )


def test_check_can_leave_out_older_hours(disk: Disk, archive: DirectoryArchive) -> None:
    archive.put(KEY, b"rubbish", {})
    assert audit(disk.folder, archive, since=Hour(HOUR.start + 3600)) == ArchiveCheck()


def run(data: Path, *words: str) -> Any:
    return CliRunner().invoke(main, [words[0], "--data", str(data), *words[1:]])


def test_rotate_and_check_by_hand(disk: Disk, tmp_path: Path) -> None:
    assert run(tmp_path, "rotate").stdout == "nothing to rotate\n"
    disk.append(demands([1, 1, 2]))
    rotated = run(tmp_path, "rotate", "--include-open")
    assert rotated.exit_code == 0
    assert rotated.stdout.splitlines()[-1] == "total 1 user, 1 object, 2 rows, 1 duplicate dropped"
    checked = run(tmp_path, "check")
    assert (checked.exit_code, "nothing wrong" in checked.stdout) == (0, True)
    (tmp_path / "archive" / KEY).write_bytes(b"rubbish")
    checked = run(tmp_path, "check", "--json", "--since", "2026-03-10")
    assert (checked.exit_code, len(json.loads(checked.stdout)["findings"])) == (1, 2)
    assert run(tmp_path, "check", "--since", "yesterday").exit_code == 2


def test_rotate_says_what_went_wrong_and_fails(disk: Disk, tmp_path: Path) -> None:
    disk.append(demands([1]))
    (tmp_path / "archive").write_text("in the way")
    rotated = run(tmp_path, "rotate", "--include-open")
    assert rotated.exit_code == 1
    assert f"the archive {(tmp_path / 'archive').as_uri()} failed" in rotated.stderr


def test_files_that_are_not_archived_yet_are_checked_too(
    disk: Disk, archive: DirectoryArchive
) -> None:
    disk.append(demand(1, 2) + b"rubbish\n" + demand(2, 2) + b'{"v":1,"to')
    (disk.path().parent / "rainforest-0273.jsonl.copy").write_bytes(demand(3, 2))
    check = audit(disk.folder, archive)
    assert (check.log_files, check.waiting) == (1, 1)
    assert [(finding.what, Path(finding.where).name) for finding in check.findings] == [
        ("unreadable", "rainforest-0273.jsonl.copy"),
        ("unreadable", f"{disk.path().name}:2"),
    ]


class _Hollow(DirectoryArchive):
    """An archive that lists objects which it does not have."""

    def get(self, key: str) -> bytes:
        raise KeyError(key)


def test_an_object_that_is_listed_and_is_not_there_is_found(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    put(archive, demands([1]), 0)
    [finding] = audit(disk.folder, _Hollow(tmp_path / "archive")).findings
    assert (
        str(finding)
        == f"missing: {KEY}: the archive lists it, and says that there is no such object"
    )


class _Deleting(DirectoryArchive):
    """An archive whose objects are deleted just before they are read."""

    def get(self, key: str) -> bytes:
        self._path(key).unlink()
        return super().get(key)


def test_an_object_that_is_deleted_during_the_check_is_no_finding(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    put(archive, demands([1]), 0)
    assert audit(disk.folder, _Deleting(tmp_path / "archive")).findings == []


BOMB = gzip.compress(bytes(LARGEST_OBJECT + 1))


def test_an_object_that_unpacks_to_too_much_is_found_and_left_out(
    disk: Disk, archive: DirectoryArchive
) -> None:
    archive.put(KEY, BOMB, {})
    [finding] = audit(disk.folder, archive).findings
    assert (
        str(finding)
        == f"unreadable: {KEY}: it unpacks to more than 16 MiB: this program did not write it"
    )
    history = UserReadings(CLOUD_ID, disk.folder, archive)
    assert (history.lines(HOUR), history.unreadable) == ([], 1)


@pytest.mark.parametrize("planted", [BOMB, bytes(LARGEST_OBJECT + 1)], ids=["packed", "plain"])
def test_rotation_goes_on_behind_an_object_that_is_too_large(
    disk: Disk, archive: DirectoryArchive, planted: bytes
) -> None:
    archive.put(KEY, planted, {})
    disk.append(demands([1, 2]))
    done = disk.rotate(archive)
    assert (done.objects, done.rows, disk.unarchived()) == (1, 2, 0)
    assert list(archive.keys("cloud_id=")) == sorted([KEY, archive_key(CLOUD_ID, HOUR, 1)])
