from __future__ import annotations

from workers.up.supervisor_log import DIED, GAVE_UP, STARTED, STOPPED, ProcessEvent, ProcessLog

AT = 1795474071.976
"""2026-11-23 22:47:51,976 UTC."""


def line(message: str, level: str = "INFO") -> str:
    return f"2026-11-23 22:47:51,976 {level} {message}\n"


def events(*messages: str) -> list[ProcessEvent]:
    return list(ProcessLog().read(line(message) for message in messages))


def test_a_start_and_a_death_have_name_time_pid_and_signal() -> None:
    assert events(
        "spawned: 'fetch-1' with pid 4711", "exited: fetch-1 (terminated by SIGKILL; not expected)"
    ) == [
        ProcessEvent(STARTED, "fetch-1", AT, 4711),
        ProcessEvent(DIED, "fetch-1", AT, 4711, "terminated by SIGKILL"),
    ]


def test_an_end_with_status_0_that_was_not_requested_is_a_death() -> None:
    assert (
        events("spawned: 'beat' with pid 2", "exited: beat (exit status 0; expected)")[-1].what
        == DIED
    )


def test_an_end_that_was_requested_is_not_a_death() -> None:
    for status in ("exit status 0", "terminated by SIGTERM"):
        assert events("spawned: 'aws' with pid 3", f"stopped: aws ({status})")[-1] == ProcessEvent(
            STOPPED, "aws", AT, 3, status
        )


def test_a_program_killed_while_it_stops_has_died() -> None:
    killed = events("spawned: 'fetch-1' with pid 3", "stopped: fetch-1 (terminated by SIGKILL)")[-1]
    assert killed == ProcessEvent(DIED, "fetch-1", AT, 3, "terminated by SIGKILL")


def test_a_dumped_core_does_not_hide_the_signal() -> None:
    death = events(
        "spawned: 'redis' with pid 5",
        "exited: redis (terminated by SIGSEGV (core dumped); not expected)",
    )[-1]
    assert death.status == "terminated by SIGSEGV (core dumped)"
    assert death.what == DIED


def test_a_program_that_supervisor_gives_up_is_reported() -> None:
    line_of_bridge = "gave up: bridge entered FATAL state, too many start retries too quickly"
    assert events(line_of_bridge) == [ProcessEvent(GAVE_UP, "bridge", AT)]


def test_the_programs_that_run_are_those_that_started_and_did_not_end() -> None:
    history = ProcessLog()
    messages = [
        "spawned: 'a' with pid 1",
        "spawned: 'b' with pid 2",
        "stopped: a (exit status 0)",
        "spawned: 'c' with pid 3",
    ]
    list(history.read(line(message) for message in messages))
    assert history.running == {"b": 2, "c": 3}


def test_other_lines_of_the_log_are_passed_over() -> None:
    noise = [
        "supervisord started with pid 1",
        "success: a entered RUNNING state, process has stayed up",
        "waiting for a to stop",
    ]
    assert events(*noise) == []
    assert (
        list(
            ProcessLog().read(
                ["", "Traceback (most recent call last):\n", "spawned: 'a' with pid 1\n"]
            )
        )
        == []
    )
