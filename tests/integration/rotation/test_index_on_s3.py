"""The index by real boto3 against a strict S3 that misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger.archive.index_reading import index_of
from eagle_logger.core.paths import INDEX, IndexKey
from eagle_logger.inspection.archive_check import audit
from eagle_logger.rotation.rebuild_index import rebuild_index
from tests.integration.rotation.test_index import rotate_only
from tests.integration.rotation.test_on_s3 import never_written_twice
from tests.support.archive_index import entries_held, entries_said
from tests.support.log_lines import HOUR, demand
from tests.support.rotating import NOW, RETENTION, Disk
from tests.support.s3_server import RunningS3

USERS = [f"{number:06x}" for number in range(4)]
OF_THE_INDEX = {"key": INDEX}


@pytest.fixture
def disk(tmp_path: Path, s3: RunningS3) -> Disk:
    """A node that has archived an hour, and not indexed it."""
    disk = Disk(tmp_path / "logs")
    disk.folder.root.mkdir()
    disk.index(s3.archive(), HOUR.start)
    for user in USERS:
        disk.append(demand(1, 1, cloud_id=user), user)
    rotate_only(disk, s3.archive())
    return disk


def test_a_put_of_the_index_whose_answer_was_lost_counts(disk: Disk, s3: RunningS3) -> None:
    s3.misbehave({"fault": "lost", "times": 1, **OF_THE_INDEX})
    assert disk.index(s3.archive()).objects == 1
    assert len(index_of(s3.archive(), HOUR).parts) == 1
    assert never_written_twice(s3)


def test_an_index_object_that_was_damaged_on_arrival_is_followed_by_a_sound_one(
    disk: Disk, s3: RunningS3
) -> None:
    archive = s3.archive()
    s3.misbehave({"fault": "corrupt", "times": 1, **OF_THE_INDEX})
    assert disk.index(archive).errors == {}
    index = index_of(archive, HOUR)
    node = disk.folder.node()
    assert list(index.unreadable) == [IndexKey(HOUR, node, 0).key]
    assert [part.head.name.number for part in index.parts] == [1]
    assert [entry for part in index.parts for entry in part.entries] == entries_held(archive)
    assert disk.index(archive).objects == 0
    assert never_written_twice(s3)
    assert disk.rotate(archive, NOW + RETENTION).removed == len(USERS)
    [finding] = audit(disk.folder, archive, now=NOW + RETENTION).findings
    assert (finding.what, finding.where) == ("unreadable", IndexKey(HOUR, node, 0).key)


def test_a_store_without_digests_is_read_back(disk: Disk, s3: RunningS3) -> None:
    archive = s3.archive(checksums="when_required")
    s3.misbehave({"fault": "corrupt", "times": 1, **OF_THE_INDEX})
    assert disk.index(archive).objects == 1
    assert [part.head.name.number for part in index_of(archive, HOUR).parts] == [1]


def test_a_store_that_damages_every_index_object_gets_two_in_one_round(
    disk: Disk, s3: RunningS3
) -> None:
    s3.misbehave({"fault": "corrupt", **OF_THE_INDEX})
    assert "stored other bytes" in str(disk.index(s3.archive()).errors)
    assert len([put for put in s3.puts() if INDEX in put["key"]]) == 2
    s3.misbehave()
    disk.index(s3.archive())
    assert [part.head.name.number for part in index_of(s3.archive(), HOUR).parts] == [2]


@pytest.mark.parametrize("fault", ["403", "500", "503", "409", "412", "reset", "kms"])
def test_a_store_that_refuses_the_index_for_a_while_gets_it_later(
    disk: Disk, s3: RunningS3, fault: str
) -> None:
    s3.misbehave({"fault": fault, **OF_THE_INDEX})
    assert list(disk.index(s3.archive()).errors) == [f"index of {HOUR}"]
    assert disk.rotate(s3.archive(), NOW + RETENTION).removed == 0
    s3.misbehave()
    assert disk.index(s3.archive()).objects == 1
    assert entries_said(s3.archive()) == entries_held(s3.archive())
    assert disk.rotate(s3.archive(), NOW + RETENTION).removed == len(USERS)


@pytest.mark.parametrize("fault", ["500", "409", "reset", "lost"])
def test_a_store_that_fails_a_third_of_the_time_gets_every_entry_once(
    disk: Disk, s3: RunningS3, fault: str
) -> None:
    archive = s3.archive()
    s3.misbehave({"fault": fault, "share": 0.33, "methods": ["PUT", "GET", "HEAD"]})
    for number in range(6):
        user = f"{100 + number:06x}"
        disk.append(demand(number, 1, cloud_id=user), user)
        disk.rotate(archive, include_open=True, heed_pauses=False)
    s3.misbehave()
    disk.rotate(archive, include_open=True, heed_pauses=False)
    assert entries_said(archive) == entries_held(archive)
    assert never_written_twice(s3)


def test_the_index_of_a_bucket_is_rebuilt(disk: Disk, s3: RunningS3, tmp_path: Path) -> None:
    archive = s3.archive()
    directory = tmp_path / "work"
    directory.mkdir()
    result = rebuild_index(archive, directory, now=NOW + RETENTION, since=HOUR)
    assert (result.entries, result.left_out) == (len(USERS), {})
    assert entries_said(archive) == entries_held(archive)
    disk.index(archive)
    assert len(entries_said(archive)) == 2 * len(USERS)  # once by the node, and once `rebuilt`
    assert audit(disk.folder, archive, now=NOW + RETENTION).findings == []
