"""Rotation by real boto3 against a strict S3 that misbehaves."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import archive_key
from eagle_logger.core.rotation_plan import FIRST_RETRY_PAUSE_S
from eagle_logger.core.sealing import gunzipped
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.rotating import NOW, Disk, assert_exactly_once, entries_in
from tests.support.s3_server import RunningS3

KEY = archive_key(CLOUD_ID, HOUR)
USERS = [f"{number:06x}" for number in range(8)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


def never_written_twice(s3: RunningS3) -> bool:
    written = defaultdict(set)
    for put in s3.puts():
        if put["outcome"] in {"stored", "replaced"}:
            written[put["key"]].add(put["sha256"])
    return all(len(digests) == 1 for digests in written.values()) and "replaced" not in {
        put["outcome"] for put in s3.puts()
    }


def test_a_put_whose_answer_was_lost_counts_as_stored(disk: Disk, s3: RunningS3) -> None:
    s3.misbehave({"fault": "lost", "times": 1})
    disk.append(demands([1, 2]))
    archive = s3.archive()
    assert disk.rotate(archive).errors == {}
    assert list(archive.keys("cloud_id=")) == [KEY]
    assert never_written_twice(s3)


def test_puts_whose_answers_were_lost_count_as_stored_in_the_next_round(
    disk: Disk, s3: RunningS3
) -> None:
    s3.misbehave({"fault": "lost", "methods": ["PUT", "HEAD"]})
    disk.append(demands([1, 2]))
    archive = s3.archive()
    assert disk.rotate(archive).deferred == 1
    s3.misbehave()
    done = disk.rotate(archive)
    assert (done.objects, done.rows, list(archive.keys("cloud_id="))) == (1, 2, [KEY])


def test_an_object_with_the_same_lines_compressed_by_another_library_counts_as_stored(
    disk: Disk, s3: RunningS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = s3.archive()
    disk.append(demands(range(200)))
    s3.misbehave({"fault": "lost", "methods": ["HEAD"]})
    assert disk.rotate(archive).deferred == 1
    s3.misbehave()
    monkeypatch.setattr("eagle_logger.core.sealing._GZIP_LEVEL", 1)
    done = disk.rotate(archive)
    assert (done.objects, done.rows, done.duplicates) == (1, 200, 0)
    assert list(archive.keys("cloud_id=")) == [KEY]


def test_a_part_that_another_writer_put_is_left_alone(
    disk: Disk, s3: RunningS3, tmp_path: Path
) -> None:
    archive, other = s3.archive(), Disk(tmp_path / "other")
    other.append(demands([1, 2]))
    other.rotate(archive)
    disk.append(demands([2, 3]))
    disk.rotate(archive)
    assert {key: len(lines) for key, lines in entries_in(archive).items()} == {
        KEY: 2,
        archive_key(CLOUD_ID, HOUR, 1): 1,
    }
    assert never_written_twice(s3)


def test_an_object_that_was_damaged_on_arrival_is_followed_by_a_sound_one(
    disk: Disk, s3: RunningS3
) -> None:
    archive = s3.archive()
    s3.misbehave({"fault": "corrupt", "times": 1})
    disk.append(demands(range(50)))
    done = disk.rotate(archive)
    assert (done.objects, done.errors) == (1, {})
    with pytest.raises(ValueError, match=r"not gzip|cut short"):
        gunzipped(archive.get(KEY))
    assert list(entries_in(archive)) == [archive_key(CLOUD_ID, HOUR, 1)]
    assert_exactly_once(archive, demands(range(50)))
    disk.append(demands([50]))
    disk.rotate(archive, include_open=True)
    assert_exactly_once(archive, demands(range(51)))


def test_a_store_that_damages_everything_is_left_alone_for_a_while(
    disk: Disk, s3: RunningS3
) -> None:
    archive = s3.archive()
    s3.misbehave({"fault": "corrupt"})
    disk.append(demands(range(50)))
    assert disk.rotate(archive).stuck == 1
    assert len([put for put in s3.puts() if CLOUD_ID in put["key"]]) == 2
    assert disk.plan() == []
    s3.misbehave()
    assert disk.rotate(archive, NOW + FIRST_RETRY_PAUSE_S).objects == 1
    assert_exactly_once(archive, demands(range(50)))


def test_a_store_without_digests_is_read_back(disk: Disk, s3: RunningS3) -> None:
    archive = s3.archive(checksums="when_required")
    s3.misbehave({"fault": "corrupt", "times": 1})
    disk.append(demands(range(50)))
    assert disk.rotate(archive).objects == 1
    assert list(entries_in(archive)) == [archive_key(CLOUD_ID, HOUR, 1)]
    assert_exactly_once(archive, demands(range(50)))


def test_a_key_that_is_refused_as_taken_without_an_object_is_tried_again_later(
    disk: Disk, s3: RunningS3
) -> None:
    s3.misbehave({"fault": "412"})
    disk.append(demands([1]))
    archive = s3.archive()
    assert disk.rotate(archive).deferred == 1
    s3.misbehave()
    assert disk.rotate(archive).objects == 1
    assert list(archive.keys("cloud_id=")) == [KEY]


def test_a_store_that_answers_403_for_a_while_gets_everything_later(
    disk: Disk, s3: RunningS3
) -> None:
    archive = s3.archive()
    s3.misbehave({"fault": "403", "methods": ["PUT", "GET", "HEAD"]})
    disk.append(demands([1]))
    done = disk.rotate(archive)
    assert (done.deferred, "s3:PutObject" in done.errors[CLOUD_ID]) == (1, True)
    s3.misbehave()
    assert disk.rotate(archive).objects == 1


@pytest.mark.parametrize("fault", ["500", "503", "409", "reset", "lost", "corrupt"])
def test_a_store_that_fails_a_third_of_the_time_gets_everything_once(
    disk: Disk, s3: RunningS3, fault: str
) -> None:
    archive = s3.archive()
    hours = [Hour(HOUR.start - back * 3600) for back in range(2)]
    written = dict.fromkeys(USERS, b"")
    for user in USERS:
        for hour in hours:
            lines = b"".join(demand(offset, 1, cloud_id=user, hour=hour) for offset in range(3))
            written[user] += lines
            disk.append(lines, user, hour)
    s3.misbehave(
        {
            "fault": fault,
            "share": 0.33,
            "methods": ["PUT"] if fault == "corrupt" else ["PUT", "GET", "HEAD"],
        }
    )
    outcomes: Counter[str] = Counter()
    for _ in range(20):
        outcomes["rotations"] += 1
        disk.rotate(archive, heed_pauses=False)
        if not disk.unarchived():
            break
    s3.misbehave()
    assert disk.unarchived() == 0, outcomes
    for user in USERS:
        assert_exactly_once(archive, written[user], user)
    assert never_written_twice(s3)


def test_a_backlog_of_three_days_is_archived_oldest_hour_first(disk: Disk, s3: RunningS3) -> None:
    hours = [Hour(HOUR.start - back * 3600) for back in range(72)]
    for hour in hours:
        disk.append(demand(1, 1, hour=hour), hour=hour)
    disk.rotate(s3.archive(), NOW)
    keys = [put["key"] for put in s3.puts()]
    assert [key for key in keys if not key.startswith("archive/_index/")] == [
        f"archive/{archive_key(CLOUD_ID, hour)}" for hour in sorted(hours)
    ]
    assert disk.unarchived() == 0
