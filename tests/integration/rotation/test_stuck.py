"""One home's hours that cannot be archived, beside others that can; and an archive that is really
away."""

from __future__ import annotations

import errno
import math
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.rotation_plan import FIRST_RETRY_PAUSE_S, LONGEST_RETRY_PAUSE_S
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.rotation.archive_reach import (
    LEFT_ALONE_FOR_S,
    MOST_FAILURES_IN_A_ROW,
    ArchiveReach,
    probe_key,
)
from eagle_logger.rotation.rotate_shard import UPLOAD_THREADS, rotate_shard
from eagle_logger.rotation.rotation_result import RotationResult
from tests.support.log_lines import HOUR, demand
from tests.support.rotating import NOW, RETENTION, SHARD, Disk, Watched, assert_exactly_once, times
from tests.support.s3_server import RunningS3
from workers.process.archive_backoff import ArchiveBackoff

STUCK = "00ce69"
HONEST = [f"{number:06x}" for number in range(20)]
HOURS = [Hour(HOUR.start - back * 3600) for back in range(6)]
OLD, NEW = sorted(HOURS)[:3], sorted(HOURS)[3:]
"""The stuck home's hours are the oldest, so they come first."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


class Rotator:
    """Carries out a round of messages as one process does in `workers.tasks`."""

    def __init__(self, disk: Disk, archive: Archive) -> None:
        self.disk, self.archive = disk, archive
        self.real = 0.0
        self.reach = ArchiveReach(lambda: archive, clock=lambda: self.real)
        self._backoff = ArchiveBackoff()
        self._rounds = 0

    def round(self, now: float = NOW) -> RotationResult:
        self._rounds += 1
        done = RotationResult()
        for hour, shard in self.disk.plan(now):
            leaves_archive_alone = self._backoff.skips_round(
                str(self._rounds), archive_is_away=self.reach.is_away()
            )
            done += rotate_shard(
                self.disk.rules(now),
                self.archive,
                hour,
                shard,
                reach=self.reach,
                archiving=not leaves_archive_alone,
            )
        return done


def lines(cloud_id: str, hour: Hour, offsets: range = range(3)) -> bytes:
    return b"".join(demand(offset, 1, cloud_id=cloud_id, hour=hour) for offset in offsets)


def honest_files(disk: Disk) -> int:
    for hour in NEW:
        for cloud_id in HONEST:
            disk.append(lines(cloud_id, hour), cloud_id, hour)
    return len(NEW) * len(HONEST)


def all_in_the_archive(
    archive: Archive, cloud_ids: list[str], hours: list[Hour], offsets: range = range(3)
) -> bool:
    for cloud_id in cloud_ids:
        assert_exactly_once(
            archive, b"".join(lines(cloud_id, hour, offsets) for hour in hours), cloud_id
        )
    return True


REFUSED = {
    "glacier": {"fault": "glacier", "methods": ["GET"]},
    "revoked key": {"fault": "kms", "methods": ["GET"]},
    "denied prefix": {"fault": "403", "methods": ["PUT", "HEAD", "GET"]},
    "damaged object": {"fault": "500", "methods": ["GET"]},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=list(REFUSED))
def test_a_refusal_for_one_home_stops_no_other(
    disk: Disk, tmp_path: Path, s3: RunningS3, fault: dict[str, Any]
) -> None:
    elsewhere = Disk(tmp_path / "elsewhere")
    for hour in OLD:
        elsewhere.append(lines(STUCK, hour, range(2)), STUCK, hour)
    elsewhere.rotate(s3.archive())
    s3.misbehave({**fault, "key": f"cloud_id={STUCK}/"})
    for hour in OLD:
        disk.append(lines(STUCK, hour), STUCK, hour)
    honest = honest_files(disk)
    rotator = Rotator(disk, s3.archive())
    done = rotator.round()
    assert (done.objects, done.stuck, done.deferred, disk.unarchived()) == (honest, 3, 0, 3)
    assert [note.cloud_id for hour in OLD for note in disk.folder.stuck(hour)] == [STUCK] * 3
    s3.misbehave()
    done = rotator.round(NOW + FIRST_RETRY_PAUSE_S)
    assert (done.objects, done.errors, disk.unarchived()) == (3, {}, 0)
    assert all_in_the_archive(rotator.archive, [STUCK], OLD)
    assert all_in_the_archive(rotator.archive, HONEST, NEW)
    assert [note for hour in HOURS for note in disk.folder.stuck(hour)] == []


def test_the_note_of_a_stuck_hour_says_what_to_do(disk: Disk, s3: RunningS3) -> None:
    disk.append(lines(STUCK, HOUR), STUCK)
    disk.rotate(s3.archive())
    disk.rotate(s3.archive(), NOW + RETENTION)
    disk.append(demand(7, 1, cloud_id=STUCK), STUCK)
    s3.misbehave({"fault": "glacier", "methods": ["GET"]})
    disk.rotate(s3.archive(), NOW + RETENTION + 1, include_open=True)
    [stuck] = disk.folder.stuck(HOUR)
    assert "InvalidObjectState" in stuck.reason
    assert "restore it" in stuck.reason
    assert (stuck.since, stuck.tried_at, stuck.tries) == (
        NOW + RETENTION + 1,
        NOW + RETENTION + 1,
        1,
    )


@contextmanager
def unreadable(monkeypatch: pytest.MonkeyPatch, part_of_name: str, number: int) -> Iterator[None]:
    """Log files whose names hold this cannot be opened."""
    opened = Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if part_of_name in path.name and path.suffix == ".jsonl":
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        yield


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_a_local_file_that_cannot_be_read_stops_no_other_user(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    archive = MemoryArchive()
    for hour in OLD:
        disk.append(lines(STUCK, hour), STUCK, hour)
    honest = honest_files(disk)
    rotator = Rotator(disk, archive)
    with unreadable(monkeypatch, f"{STUCK}-", number):
        done = rotator.round()
        assert (done.objects, done.stuck, disk.unarchived()) == (honest, 3, 3)
        assert os.strerror(number) in done.errors[STUCK]
        assert rotator.round(NOW + FIRST_RETRY_PAUSE_S - 1) == RotationResult()
    assert rotator.round(NOW + FIRST_RETRY_PAUSE_S).objects == 3
    assert all_in_the_archive(archive, [STUCK], OLD)


def test_an_archived_file_that_cannot_be_read_is_looked_up_in_the_archive(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    disk.rotate(archive)
    disk.append(lines(STUCK, HOUR, range(2, 5)), STUCK)
    with unreadable(monkeypatch, ".0001.sealed", errno.EIO):
        done = disk.rotate(archive, include_open=True)
    assert (done.objects, done.errors) == (1, {})
    assert all_in_the_archive(archive, [STUCK], [HOUR], range(5))


def test_a_folder_that_cannot_be_listed_stops_no_other(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = MemoryArchive()
    honest = honest_files(disk)
    disk.append(lines(STUCK, OLD[0]), STUCK, OLD[0])
    sick = disk.path(STUCK, OLD[0]).parent
    real_iterdir = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == sick:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real_iterdir(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", iterdir)
        done = Rotator(disk, archive).round()
        assert (done.objects, list(done.errors)) == (honest, [f"{OLD[0]} {SHARD}"])
        assert disk.unarchived() == 1, "what cannot be seen counts as waiting"
    assert Rotator(disk, archive).round().objects == 1


def test_a_receipt_that_cannot_be_used_stops_no_other_user(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    disk.append(lines(HONEST[0], HOUR), HONEST[0])
    disk.rotate(archive)
    [receipt] = disk.path().parent.glob(f"*{STUCK}*.receipt.json")
    receipt.write_text(
        receipt.read_text().replace(f'"archived_at": {NOW}', '"archived_at": "tomorrow"')
    )
    assert "tomorrow" in receipt.read_text()
    disk.rotate(archive, NOW + RETENTION)
    disk.rotate(archive, NOW + 2 * RETENTION)
    assert disk.folder.hours() == []


# Within one shard: ------------------------------------------------------------------------------


def refusing(archive: Archive, cloud_ids: list[str], keys: list[str] | None = None) -> Watched:
    def refuse(_what: str, key: str) -> None:
        if keys is not None:
            keys.append(key)
        if any(f"={cloud_id}/" in key for cloud_id in cloud_ids):
            raise ArchiveUnavailable("answered AccessDenied")

    return Watched(archive, before=refuse)


@pytest.mark.parametrize(
    "shards", [[SHARD], [f"{number:02d}" for number in range(16)]], ids=["one shard", "many shards"]
)
def test_several_stuck_homes_stop_no_other_home(disk: Disk, shards: list[str]) -> None:
    archive = MemoryArchive()
    everybody = [f"{number:06x}" for number in range(48)]
    unlucky = everybody[: MOST_FAILURES_IN_A_ROW - 1]
    for number, cloud_id in enumerate(everybody):
        path = (
            disk.folder.root
            / HOUR.name
            / shards[number % len(shards)]
            / f"rainforest-{cloud_id}-{HOUR}.jsonl"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines(cloud_id, HOUR))
    done = Rotator(disk, refusing(archive, unlucky)).round()
    assert (done.objects, done.stuck, done.deferred) == (48 - len(unlucky), len(unlucky), 0)


@pytest.mark.parametrize("old_hours", [1, 12])
def test_many_stuck_homes_stop_no_other_home_for_long(disk: Disk, old_hours: int) -> None:
    archive = MemoryArchive()
    everybody = [f"{number:06x}" for number in range(80)]
    unlucky = everybody[:60]
    old = [Hour(OLD[0].start - back * 3600) for back in range(old_hours)]
    for hour, cloud_ids in (*((hour, unlucky) for hour in old), (NEW[0], everybody[60:])):
        for cloud_id in cloud_ids:
            disk.append(lines(cloud_id, hour), cloud_id, hour)
    rotator = Rotator(disk, refusing(archive, unlucky))
    rounds = 0
    while (rounds := rounds + 1) < 10 and rotator.round(NOW + rounds).objects < 20:
        rotator.real += LEFT_ALONE_FOR_S
    assert rounds < 7
    assert all_in_the_archive(archive, everybody[60:], [NEW[0]])


def test_hours_that_failed_before_come_last(disk: Disk) -> None:
    archive, keys = MemoryArchive(), list[str]()
    disk.append(lines(STUCK, OLD[0]), STUCK, OLD[0])
    disk.append(lines(STUCK, OLD[1]), STUCK, OLD[1])
    Rotator(disk, refusing(archive, [STUCK])).round()
    disk.append(lines(HONEST[0], OLD[1]), HONEST[0], OLD[1])
    disk.append(lines(HONEST[1], NEW[0]), HONEST[1], NEW[0])
    later = NOW + FIRST_RETRY_PAUSE_S
    assert disk.plan(later) == [(OLD[1], SHARD), (NEW[0], SHARD), (OLD[0], SHARD)]
    assert disk.plan(later - 1) == [(OLD[1], SHARD), (NEW[0], SHARD)]
    Rotator(disk, refusing(archive, [STUCK], keys)).round(later - 1)
    assert [key for key in keys if STUCK in key] == [], "it is left out until its pause is over"


def test_the_pause_of_a_stuck_hour_grows_and_outlasts_the_rotator(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    now, pauses = NOW, list[float]()
    for _ in range(9):
        Rotator(disk, refusing(archive, [STUCK])).round(now)
        tried, now = now, now + FIRST_RETRY_PAUSE_S
        while not disk.plan(now):
            now += FIRST_RETRY_PAUSE_S
        pauses.append(now - tried)
    assert pauses == [
        min(FIRST_RETRY_PAUSE_S * 2**number, LONGEST_RETRY_PAUSE_S) for number in range(9)
    ]
    assert len(list(disk.path().parent.glob("*.stuck.json"))) == 1
    assert Rotator(disk, archive).round(now).objects == 1
    assert list(disk.path().parent.glob("*.stuck.json")) == []


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"\0" * 90, b"{", b'{"v":1}', b'{"v":2}', b"[]", b"9" * 9000, b"[" * 4000],
    ids=range(8),
)
def test_a_note_that_cannot_be_read_holds_nothing_back(disk: Disk, spoilt: bytes) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    Rotator(disk, refusing(archive, [STUCK])).round()
    [note] = disk.path().parent.glob("*.stuck.json")
    note.write_bytes(spoilt)
    assert disk.folder.stuck(HOUR) == []
    assert Rotator(disk, archive).round(NOW + 1).objects == 1


def test_a_note_from_ahead_of_now_holds_nothing_back(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    Rotator(disk, refusing(archive, [STUCK])).round(NOW + 90 * 86400)
    assert Rotator(disk, archive).round(NOW + 1).objects == 1


def test_rotation_by_hand_heeds_no_pause(disk: Disk) -> None:
    archive = MemoryArchive()
    disk.append(lines(STUCK, HOUR), STUCK)
    disk.rotate(refusing(archive, [STUCK]))
    assert disk.plan() == []
    assert disk.rotate(archive, heed_pauses=False).objects == 1


def test_an_hour_is_tried_once_more_in_case_the_archive_came_back(disk: Disk) -> None:
    archive, failures = MemoryArchive(), Counter[str]()

    def fail_once(what: str, key: str) -> None:
        failures[key] += 1
        if what == "put" and STUCK in key and failures[key] == 1:
            raise ArchiveUnavailable("reset")

    disk.append(lines(STUCK, HOUR), STUCK)
    done = disk.rotate(Watched(archive, before=fail_once))
    assert (done.users, done.objects, done.stuck, done.errors) == (1, 1, 0, {})


# Deleting: --------------------------------------------------------------------------------------


def test_local_deletes_go_on_while_the_archive_is_away_and_beside_stuck_hours(disk: Disk) -> None:
    archive = MemoryArchive()
    for hour in OLD:
        for cloud_id in HONEST:
            disk.append(lines(cloud_id, hour), cloud_id, hour)
    disk.rotate(archive)
    later = NOW + RETENTION
    disk.append(lines(STUCK, OLD[0]), STUCK, OLD[0])
    for cloud_id in [STUCK, *HONEST]:
        disk.append(lines(cloud_id, NEW[0]), cloud_id, NEW[0])
    rotator = Rotator(disk, refusing(archive, ["", STUCK, *HONEST]))
    rotator.reach._away_until = math.inf
    done = rotator.round(later)
    assert (done.removed, done.objects, done.deferred) == (
        len(OLD) * len(HONEST),
        0,
        len(HONEST) + 2,
    )


def test_the_log_file_of_a_part_is_kept_while_its_hour_waits(disk: Disk) -> None:
    """Otherwise rotation would read an object that may be in a slow storage class by now."""
    archive, gets = MemoryArchive(), list[str]()
    disk.append(lines(STUCK, HOUR), STUCK)
    disk.rotate(archive)
    disk.append(lines(STUCK, HOUR, range(2, 5)), STUCK)
    disk.rotate(refusing(archive, [STUCK]), include_open=True)
    later = NOW + 3 * RETENTION
    assert disk.rotate(refusing(archive, [STUCK]), later).removed == 0
    watched = Watched(archive, before=lambda what, key: gets.append(key) if what == "get" else None)
    done = disk.rotate(watched, later, heed_pauses=False)
    assert (done.objects, done.removed) == (1, 1)
    assert gets == []
    assert times(archive) == [0, 1, 2, 3, 4]
    assert disk.rotate(archive, later + RETENTION).removed == 1


# The archive itself is away: --------------------------------------------------------------------


def away(keys: list[str]) -> Watched:
    """An archive that answers nothing. `keys` collects the keys of all requests."""

    def refuse(_what: str, key: str) -> None:
        keys.append(key)
        raise ArchiveUnavailable("away")

    return Watched(MemoryArchive(), before=refuse)


def test_an_archive_that_is_away_gets_few_requests(disk: Disk) -> None:
    keys: list[str] = []
    for hour in HOURS:
        for cloud_id in HONEST:
            disk.append(lines(cloud_id, hour), cloud_id, hour)
    rotator = Rotator(disk, away(keys))
    for turn in range(1, 10):
        done = rotator.round(NOW + 300 * turn)
        assert (done.objects, done.stuck, done.deferred) == (0, 0, len(HOURS) * len(HONEST))
        assert len(keys) <= turn * (UPLOAD_THREADS + 1)
        rotator.real += 300
    assert [note for hour in HOURS for note in disk.folder.stuck(hour)] == [], (
        "no home's own failure"
    )
    assert disk.plan() == [(hour, SHARD) for hour in sorted(HOURS)], (
        "the oldest hour goes first as before"
    )


def test_one_home_sends_few_requests_to_an_archive_that_is_away(disk: Disk) -> None:
    keys: list[str] = []
    for back in range(60):
        hour = Hour(HOUR.start - back * 3600)
        disk.append(lines(STUCK, hour), STUCK, hour)
    done = Rotator(disk, away(keys)).round()
    assert (done.deferred, done.stuck, len(keys)) == (60, 0, 2)


def test_an_archive_that_answers_and_takes_nothing_is_left_alone_after_some_users(
    disk: Disk,
) -> None:
    archive, keys = MemoryArchive(), list[str]()
    everybody = [f"{number:06x}" for number in range(200)]
    for cloud_id in everybody:
        disk.append(lines(cloud_id, HOUR), cloud_id)
    rotator = Rotator(disk, refusing(archive, everybody, keys))
    done = rotator.round()
    assert MOST_FAILURES_IN_A_ROW <= done.stuck <= MOST_FAILURES_IN_A_ROW + UPLOAD_THREADS
    assert done.stuck + done.deferred == 200
    assert len(keys) < 8 * MOST_FAILURES_IN_A_ROW
    assert list(archive.keys()) == [probe_key(NOW)]
    rotator.real += LEFT_ALONE_FOR_S
    rotator.archive = archive
    assert rotator.round(NOW + FIRST_RETRY_PAUSE_S).objects == 200


def test_an_archive_that_is_away_gets_no_request_for_a_while(disk: Disk) -> None:
    keys: list[str] = []
    rotator = Rotator(disk, away(keys))
    assert not rotator.reach.is_away()
    assert not rotator.reach.still_answers(NOW)
    assert not rotator.reach.still_answers(NOW)
    assert (rotator.reach.is_away(), keys) == (True, [probe_key(NOW)])
    rotator.real = LEFT_ALONE_FOR_S
    assert not rotator.reach.is_away()
