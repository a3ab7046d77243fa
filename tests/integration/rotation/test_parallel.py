"""Several processes on one disk's backlog."""

from __future__ import annotations

import fcntl
import multiprocessing
from pathlib import Path

import pytest

from eagle_logger import wiring
from eagle_logger.core.hours import Hour
from eagle_logger.errors import EagleError
from eagle_logger.rotation import parallel
from eagle_logger.rotation.parallel import RotationJob, rotate_backlog
from eagle_logger.rotation.rotation_result import RotationResult
from eagle_logger.settings import Settings
from tests.support.log_lines import HOUR, demand
from tests.support.rotating import GRACE, entries_in

USERS = [f"{number:06x}" for number in range(12)]
SHARDS = ("01", "02", "03")
NEXT = Hour(HOUR.end)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RotationJob:
    monkeypatch.setattr(parallel, "_FILES_WORTH_A_PROCESS", 1)
    settings = Settings(data_dir=tmp_path)
    for number, cloud_id in enumerate(USERS):
        for hour in (HOUR, NEXT):
            path = (
                settings.logs_dir
                / hour.name
                / SHARDS[number % 3]
                / f"rainforest-{cloud_id}-{hour}.jsonl"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                b"".join(demand(second, 1, cloud_id=cloud_id) for second in range(5)) * 2
            )
    return RotationJob(settings, NEXT.end + GRACE + 3600)


def rotate_all(job: RotationJob, processes: int, *, stopping: bool = False) -> RotationResult:
    results = rotate_backlog(job, lambda: stopping, processes=processes)
    return sum((result for _, result in results), RotationResult())


def test_several_processes_archive_a_backlog_once_and_oldest_hour_first(job: RotationJob) -> None:
    done = list(rotate_backlog(job, lambda: False, processes=3))
    assert [shard for shard, _ in done] == [
        (hour, shard) for hour in (HOUR, NEXT) for shard in SHARDS
    ]
    total = sum((result for _, result in done), RotationResult())
    assert (total.users, total.objects, total.errors) == (24, 24, {})
    archived = entries_in(wiring.archive(job.settings))
    assert len(archived) == 24
    assert all(len(lines) == 5 for lines in archived.values())
    assert not multiprocessing.active_children()
    assert job.count_files(job.plan()) == 0


def test_one_process_archives_a_backlog_once(job: RotationJob) -> None:
    total = rotate_all(job, processes=1)
    assert (total.users, total.objects) == (24, 24)


def test_a_backlog_that_is_stopped_is_left_for_next_time(job: RotationJob) -> None:
    stopped = rotate_all(job, processes=1, stopping=True)
    assert (stopped.users, stopped.deferred) == (0, 24)
    again = rotate_all(job, processes=2)
    assert again.objects == 24


def test_a_killed_process_is_reported_and_loses_nothing(job: RotationJob) -> None:
    last = job.settings.logs_dir / NEXT.name / SHARDS[-1] / f"rainforest-{USERS[-1]}-{NEXT}.jsonl"
    with last.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # otherwise rotation may end before the kill
        rotating = rotate_backlog(job, lambda: False, processes=2)
        next(rotating)
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(EagleError, match="rotate again"):
            list(rotating)
    total = rotate_all(job, processes=2)
    assert total.errors == {}
    assert len(entries_in(wiring.archive(job.settings))) == 24


@pytest.mark.parametrize("processes", [1, 2])
def test_an_archive_that_is_away_ends_the_backlog_after_a_few_requests(
    job: RotationJob, processes: int
) -> None:
    directory = Path(wiring.archive(job.settings).url.removeprefix("file://"))
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.write_bytes(b"in the way")  # so that the directory cannot be made
    total = rotate_all(job, processes=processes)
    assert (total.objects, total.stuck, total.deferred) == (0, 0, 24)
    assert total.users <= processes * len(USERS) // len(SHARDS), (
        "each process tried one shard's users at most"
    )
    directory.unlink()
    again = rotate_all(job, processes=processes)
    assert (again.objects, again.errors) == (24, {})


@pytest.mark.parametrize("processes", [1, 2])
def test_one_users_hours_that_cannot_be_archived_stop_no_other_user(
    job: RotationJob, processes: int
) -> None:
    archive = wiring.archive(job.settings)
    stuck = Path(archive.url.removeprefix("file://")) / f"cloud_id={USERS[0]}"
    stuck.parent.mkdir(parents=True, exist_ok=True)
    stuck.write_bytes(b"in the way")
    total = rotate_all(job, processes=processes)
    assert (total.objects, total.stuck, total.deferred) == (22, 2, 0)
    assert list(total.errors) == [USERS[0]]
    stuck.unlink()
    again = rotate_all(job, processes=processes)
    assert (again.objects, again.errors) == (2, {})
