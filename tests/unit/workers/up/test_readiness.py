from __future__ import annotations

from workers.up.programs import Program, Stage
from workers.up.readiness import answers, not_ready, silent_programs, still_missing

WORKER = Program("fetch-1", ("celery",), Stage.FETCHING, reports_as="fetch-1")
DISPATCHER = Program("dispatcher", ("celery",), Stage.DISPATCHING, reports_as="dispatch")
REDIS = Program("redis", ("redis-server",), Stage.REDIS)
ALL = [WORKER, DISPATCHER, REDIS]
RUNNING = {"fetch-1", "dispatcher", "redis"}


def test_a_program_is_ready_once_it_has_reported_since_its_start() -> None:
    progress = {"fetch-1": {"at": 100.0}, "dispatch": {"at": 99.0}}
    assert not_ready(ALL, progress, 100.0, RUNNING) == ["dispatcher"]
    assert not_ready(ALL, progress, 99.0, RUNNING) == []


def test_the_line_names_the_programs_that_are_not_ready() -> None:
    assert still_missing(["rotator", "beat"], 7) == "5 of 7 are ready; waiting for rotator, beat"


def test_a_program_that_does_not_run_is_not_ready_despite_its_former_report() -> None:
    progress = {"fetch-1": {"at": 100.0}, "dispatch": {"at": 100.0}}
    assert not_ready(ALL, progress, 1.0, RUNNING - {"fetch-1"}) == ["fetch-1"]


def test_a_program_that_never_reports_is_ready_when_it_runs_and_never_silent() -> None:
    assert not_ready([REDIS], {}, 1.0, RUNNING) == []
    assert silent_programs(ALL, {"fetch-1": {"at": 50.0}}, 95.0) == [DISPATCHER]


def test_each_program_is_silent_after_a_time_of_its_own() -> None:
    progress = {"fetch-1": {"at": 100.0}, "beat": {"at": 100.0}}
    beat = Program("beat", ("celery",), Stage.TRIGGERS, reports_as="beat", silent_after=5.0)
    assert silent_programs([WORKER, beat], progress, 105.0) == []
    assert silent_programs([WORKER, beat], progress, 105.1) == [beat]
    assert silent_programs([WORKER, beat], progress, 105.1, lambda seconds: 60 * seconds) == []


def test_a_closed_port_does_not_answer() -> None:
    assert not answers("http://127.0.0.1:1/healthz")
