"""The lock, the keys and the file of deaths, in real directories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from eagle_logger.errors import ConfigurationError, DataDirectoryBusy
from tests.support.volumes import fill, tmpfs
from workers.up.data_dir import (
    key_file,
    last_sign_of_life,
    leave_sign_of_life,
    lock_data_dir,
    read_or_make_secret,
    write_private_file,
)
from workers.up.measured_run.deaths import DEATHS_FILE, Deaths, record_unseen_deaths
from workers.up.supervisor_log import DIED, ProcessEvent

DEATH = ProcessEvent(DIED, "fetch-1", 1795474071.976, 4711, "terminated by SIGKILL")
LOG = """\
2026-11-23 22:47:50,000 INFO spawned: 'fetch-1' with pid 4711
2026-11-23 22:47:51,976 WARN exited: fetch-1 (terminated by SIGKILL; not expected)
2026-11-23 22:47:52,000 INFO spawned: 'fetch-1' with pid 4712
2026-11-23 22:47:52,000 INFO spawned: 'beat' with pid 4713
2026-11-23 22:47:53,000 INFO stopped: beat (exit status 0)
"""


def records(data: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data / DEATHS_FILE).read_text().splitlines()]


def test_only_one_up_at_a_time_holds_a_data_directory(tmp_path: Path) -> None:
    with (
        lock_data_dir(tmp_path / "new" / "data"),
        pytest.raises(DataDirectoryBusy),
        lock_data_dir(tmp_path / "new" / "data"),
    ):
        pass
    with lock_data_dir(tmp_path / "new" / "data"):
        pass


def test_the_next_up_waits_until_the_programs_of_a_killed_up_have_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import subprocess, sys
from pathlib import Path
from workers.up.data_dir import lock_data_dir
with lock_data_dir(Path(sys.argv[1])) as lock:
    command = ["sleep", "1000"]
    print(subprocess.Popen(command, pass_fds=[lock], stdout=subprocess.DEVNULL).pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        program = int(first.stdout.readline())
        first.kill()
        first.wait()
    pauses: list[float] = []

    def program_ends_meanwhile(seconds: float) -> None:
        if not pauses:
            os.kill(program, signal.SIGKILL)
        pauses.append(seconds)

    monkeypatch.setattr(time, "sleep", program_ends_meanwhile)
    with lock_data_dir(tmp_path):
        assert pauses, "it waited"


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match="cannot be used"),
        lock_data_dir(tmp_path / "file" / "data"),
    ):
        pass


def test_the_file_of_keys_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    Fernet(path.read_text().strip())
    before = path.read_text()
    assert key_file(tmp_path).read_text() == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "password"
    assert read_or_make_secret(path) == read_or_make_secret(path)
    assert len(read_or_make_secret(path)) > 20
    write_private_file(path, "\n")
    assert read_or_make_secret(path)


def test_a_death_is_written_once(tmp_path: Path) -> None:
    deaths = Deaths(tmp_path)
    assert deaths.record(DEATH)
    assert not deaths.record(DEATH)
    assert not Deaths(tmp_path).record(DEATH)
    (record,) = records(tmp_path)
    assert (record["wall"], record["name"], record["pid"], record["status"]) == (
        DEATH.at,
        "fetch-1",
        4711,
        DEATH.status,
    )
    assert str(record["agent"]).startswith("eagle-logger/")
    assert str(record["agent"]).endswith(" fetch-1/4711")


def test_a_torn_record_of_a_death_does_not_spoil_the_next(tmp_path: Path) -> None:
    Deaths(tmp_path).record(DEATH)
    with (tmp_path / DEATHS_FILE).open("a") as file:
        file.write('{"wall": 17')
    assert not Deaths(tmp_path).record(DEATH)
    assert Deaths(tmp_path).record(ProcessEvent(DIED, "beat", 1.0, 5, "exit status 1"))
    assert len(records(tmp_path)) == 2


def test_deaths_are_written_once_the_disk_is_no_longer_full(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "volume", "64k") as data:
        (data / "run").mkdir()
        deaths = Deaths(data)
        assert deaths.record(DEATH)
        ballast = fill(data)
        leave_sign_of_life(data)
        assert deaths.record(ProcessEvent(DIED, "beat", 1.0, 5, "exit status 1" * 400))
        deaths.write()
        assert len(records(data)) == 1, "nothing torn is left"
        ballast.unlink()
        deaths.write()
        assert [record["name"] for record in records(data)] == ["fetch-1", "beat"]
        deaths.write()
        assert len(records(data)) == 2


def test_the_next_up_records_deaths_that_a_killed_up_did_not_see(tmp_path: Path) -> None:
    log = tmp_path / "supervisord.log"
    log.write_text(LOG)
    assert record_unseen_deaths(Deaths(tmp_path), tmp_path / "none", 0.0) == []
    assert record_unseen_deaths(Deaths(tmp_path), log, 1795474099.0) == [
        DEATH,
        ProcessEvent(DIED, "fetch-1", 1795474099.0, 4712, "died with supervisor"),
    ]
    assert record_unseen_deaths(Deaths(tmp_path), log, 1795474099.0) == []
    assert len(records(tmp_path)) == 2


def test_the_last_sign_of_life_is_never_in_the_future(tmp_path: Path) -> None:
    before = time.time()
    assert before <= last_sign_of_life(tmp_path) <= time.time()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "alive").touch()
    os.utime(tmp_path / "run" / "alive", (1000.0, 1000.0))
    assert last_sign_of_life(tmp_path) == 1000.0
    os.utime(tmp_path / "run" / "alive", (time.time() + 1e6, time.time() + 1e6))
    assert last_sign_of_life(tmp_path) <= time.time(), "left by a clock that ran ahead"
