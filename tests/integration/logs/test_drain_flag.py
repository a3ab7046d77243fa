"""The flag that drains a log volume, and the lock of the processes that still add readings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.errors import DiskUnavailable
from eagle_logger.logs.drain_flag import DRAINING, DrainFlag

LOCKING_PROGRAM = """
import sys, time
from pathlib import Path
from eagle_logger.logs.drain_flag import DrainFlag
print("locked" if DrainFlag(Path(sys.argv[1])).lock() else "refused", flush=True)
time.sleep(60)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "logs"


@pytest.fixture
def drain(root: Path) -> DrainFlag:
    return DrainFlag(root)


def test_a_volume_takes_readings_until_the_flag_is_set(drain: DrainFlag) -> None:
    assert not drain.is_set()
    assert drain.set()
    assert drain.is_set()
    assert drain.lock() is None
    assert drain.clear()
    assert not drain.is_set()
    assert drain.lock() is not None


def test_the_flag_may_be_set_and_cleared_twice(drain: DrainFlag) -> None:
    assert [drain.set(), drain.set()] == [True, False]
    assert [drain.clear(), drain.clear()] == [True, False]


def test_a_volume_is_locked_until_the_last_process_releases_it(drain: DrainFlag) -> None:
    first, second = drain.lock(), drain.lock()
    assert first is not None
    assert second is not None
    drain.set()
    assert drain.is_locked()
    first.release()
    assert drain.is_locked()
    second.release()
    assert not drain.is_locked()


def test_asking_for_the_lock_releases_no_lock(drain: DrainFlag) -> None:
    lock = drain.lock()
    assert lock is not None
    assert drain.is_locked()
    assert drain.is_locked()


def test_a_volume_that_is_not_there_is_not_drained(tmp_path: Path) -> None:
    assert not DrainFlag(tmp_path / "other").is_set()


def test_the_lock_of_a_killed_process_is_released(drain: DrainFlag, root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOCKING_PROGRAM, str(root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert drain.is_locked()
        process.kill()
    assert not drain.is_locked()


def test_the_flags_file_says_how_to_clear_it(drain: DrainFlag, root: Path) -> None:
    drain.set()
    assert "eagle-logger drain --undo" in (root / DRAINING).read_text()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    with pytest.raises(DiskUnavailable, match="logs"):
        DrainFlag(tmp_path / "logs").lock()
