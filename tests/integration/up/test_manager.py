"""A real supervisor, with programs of a line or two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eagle_logger.errors import ConfigurationError
from tests.support.polling import wait_until
from tests.support.volumes import fill, tmpfs
from workers.up.manager import SUPERVISORD_LOG, Manager, ManagerGone
from workers.up.measured_run.deaths import Deaths, record_unseen_deaths
from workers.up.programs import Program, Stage
from workers.up.supervisor_log import DIED, GAVE_UP, STARTED, STOPPED, ProcessEvent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SLEEP = ("sleep", "1000")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def still_supervisor(pid: int) -> bool:
    """Whether the process has been forked and has not yet become its program. A SIGTERM in that
    instant is lost."""
    try:
        return b"supervisord" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def program(
    name: str, *command: str, stage: Stage = Stage.FETCHING, stop_within: float = 10
) -> Program:
    return Program(name, command or SLEEP, stage, stop_within)


@contextmanager
def managed(data: Path, *programs: Program) -> Iterator[tuple[Manager, list[ProcessEvent]]]:
    events: list[ProcessEvent] = []
    with Manager(programs, data, os.environ, events.append) as manager:
        manager.start([program.name for program in programs])
        wait_until(lambda: names_of(events, STARTED) == {program.name for program in programs})
        wait_until(lambda: not any(still_supervisor(event.pid) for event in events))
        yield manager, events


def names_of(events: list[ProcessEvent], what: str) -> set[str]:
    return {event.name for event in events if event.what == what}


def deaths(events: list[ProcessEvent]) -> list[ProcessEvent]:
    return [event for event in events if event.what == DIED]


def test_a_killed_program_is_reported_with_pid_and_signal_and_starts_again(tmp_path: Path) -> None:
    with managed(tmp_path, program("fetch-1")) as (manager, events):
        first = manager.pid("fetch-1")
        before = time.time()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: bool(manager.running()) and manager.pid("fetch-1") not in {0, first})
        (death,) = deaths(events)
        assert (death.name, death.pid, death.status) == ("fetch-1", first, "terminated by SIGKILL")
        assert before - 0.1 <= death.at <= time.time()


def test_two_deaths_in_quick_succession_are_both_reported(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    dies_twice = f"test -e {b} && sleep 1000; test -e {a} && touch {b} || touch {a}; exit 3"
    with managed(tmp_path, program("beat", "sh", "-c", dies_twice)) as (manager, events):
        wait_until(lambda: len(deaths(events)) == 2 and manager.pid("beat") != 0)
        assert {death.status for death in deaths(events)} == {"exit status 3"}
        assert len({death.pid for death in deaths(events)}) == 2


def test_a_program_is_given_up_at_its_fifth_death_after_growing_pauses(tmp_path: Path) -> None:
    bad, none = (
        program("bad", "sh", "-c", "echo no such luck; exit 1"),
        program("none", "/no/such/program"),
    )
    events: list[ProcessEvent] = []
    with Manager([bad, none], tmp_path, os.environ, events.append) as manager:
        manager.start(["bad", "none"])
        wait_until(lambda: names_of(events, GAVE_UP) == {"bad", "none"})
        died = [death.at for death in deaths(events) if death.name == "bad"]
        started = [event.at for event in events if event.what == STARTED and event.name == "bad"]
        assert len(died) == len(started) == 5
        pauses = [again - end for end, again in zip(died, started[1:], strict=False)]
        # A busy machine makes a pause longer. The log shows no more than milliseconds.
        assert all(pause > number - 0.01 for number, pause in enumerate(pauses, 1)), pauses
        assert manager.last_lines("bad", 1) == ["no such luck"]
        assert manager.running() == set()


def test_programs_stop_when_asked_and_have_not_died(tmp_path: Path) -> None:
    with managed(tmp_path, program("one"), program("two")) as (manager, events):
        manager.stop(["one", "two", "one"])
        assert manager.running() == set()
        wait_until(lambda: names_of(events, STOPPED) == {"one", "two"})
        assert deaths(events) == []


def test_a_program_that_does_not_stop_in_time_is_killed_and_has_died(tmp_path: Path) -> None:
    deaf = program(
        "deaf", "sh", "-c", "trap '' TERM; echo 1; while true; do sleep 0.1; done", stop_within=1
    )
    waited: list[list[str]] = []
    with managed(tmp_path, deaf) as (manager, events):
        wait_until(lambda: manager.last_lines("deaf") == ["1"])
        manager.stop(["deaf"], waiting=waited.append)
        wait_until(lambda: bool(deaths(events)))
        assert deaths(events)[0].status == "terminated by SIGKILL"
    assert waited == [] or waited[0] == ["deaf"]


def test_leaving_the_manager_stops_later_stages_first(tmp_path: Path) -> None:
    with managed(
        tmp_path, program("redis", stage=Stage.REDIS), program("beat", stage=Stage.TRIGGERS)
    ) as (_, events):
        pass
    ended = [event.name for event in events if event.what == STOPPED]
    assert ended == ["beat", "redis"]


def test_a_killed_supervisord_leaves_no_program_and_each_death_is_reported(tmp_path: Path) -> None:
    with managed(tmp_path, program("one"), program("two")) as (manager, events):
        pids = [manager.pid("one"), manager.pid("two")]
        os.kill(int((tmp_path / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
        wait_until(lambda: not any(lives(pid) for pid in pids))
        wait_until(lambda: len(deaths(events)) == 2)
        assert {death.pid for death in deaths(events)} == set(pids)
        with pytest.raises(ManagerGone):
            manager.running()
    assert record_unseen_deaths(Deaths(tmp_path), tmp_path / "run" / SUPERVISORD_LOG, 0.0) == [], (
        "they were reported already"
    )


def test_a_killed_manager_leaves_no_program(tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from workers.up.manager import Manager
from workers.up.programs import Program, Stage
programs = [Program(name, ("sleep", "1000"), Stage.FETCHING) for name in ("one", "two")]
def report(event):
    print(event.pid, flush=True)
with Manager(programs, Path(sys.argv[1]), os.environ, report) as manager:
    manager.start(["one", "two"])
    time.sleep(1000)
"""
    up = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert up.stdout is not None
    with up.stdout:
        pids = [int(up.stdout.readline()) for _ in range(2)]
        pids.append(int((tmp_path / "run" / "supervisord.pid").read_text()))
        assert all(lives(pid) for pid in pids)
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: b"SIGKILL" in (tmp_path / "run" / SUPERVISORD_LOG).read_bytes())
        up.kill()
        up.wait()
        wait_until(lambda: not any(lives(pid) for pid in pids))
    (unseen,) = record_unseen_deaths(Deaths(tmp_path), tmp_path / "run" / SUPERVISORD_LOG, 0.0)
    assert (unseen.pid, unseen.status) == (pids[0], "terminated by SIGKILL")


def test_programs_run_below_a_long_path(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 60) / ("e 'f\"" * 15)
    data.mkdir(parents=True)
    with managed(data, program("one", "sh", "-c", "echo 50%; sleep 1000")) as (manager, _):
        wait_until(lambda: manager.last_lines("one") == ["50%"])


def test_a_path_that_supervisor_would_misread_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="--data"),
        Manager([], tmp_path / "50% of it", os.environ, print),
    ):
        pass


def test_a_replaced_program_runs_its_new_command_from_its_next_start(tmp_path: Path) -> None:
    with managed(tmp_path, program("one"), program("two")) as (manager, events):
        other = manager.pid("two")
        manager.stop(["one"])
        manager.replace(program("one", "sh", "-c", "echo anew; exec sleep 1000"))
        manager.start(["one"])
        wait_until(lambda: manager.last_lines("one") == ["anew"])
        assert manager.running() == {"one", "two"}
        assert manager.pid("two") == other
        assert deaths(events) == []


def test_a_full_disk_ends_neither_supervisord_nor_its_programs(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "volume", "256k") as data:
        talks = program("talks", "sh", "-c", "while sleep 0.01; do echo word; done")
        mortal = program("mortal", *SLEEP)
        with managed(data, talks, mortal) as (manager, events):
            ballast = fill(data)
            os.kill(manager.pid("mortal"), signal.SIGKILL)
            wait_until(
                lambda: (
                    [event.what for event in events if event.name == "mortal"]
                    == [STARTED, DIED, STARTED]
                )
            )
            assert manager.running() == {"talks", "mortal"}
            ballast.unlink()
            size = (manager.log_dir / "talks.log").stat().st_size
            wait_until(lambda: (manager.log_dir / "talks.log").stat().st_size > size)
        assert [event for event in events if event.what == DIED and event.name == "talks"] == []
