from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from eagle_logger.settings import Settings
from workers.up import programs
from workers.up.programs import Program, Stage
from workers.up.simulators import SimulatorSetup

NODE = "0123456789ab"
ROOT = Path(__file__).parents[4]


def system_programs(**overrides: object) -> dict[str, Program]:
    settings = Settings(services={}, data_dir=Path("/data"), **overrides)  # type: ignore[arg-type]
    return {program.name: program for program in programs.system_programs(settings, NODE)}


def command_line(program: Program) -> str:
    return " ".join(program.command)


def setup(*, with_aws: bool) -> SimulatorSetup:
    return SimulatorSetup(7, Path("/data/simulator"), 1001, 1002, 1003, "a-secret", with_aws)


def test_workers_are_celery_by_name_queue_and_pool() -> None:
    running = system_programs(fetch_workers=2, fetch_queues=3, fetch_threads=5)
    assert command_line(running["fetch-2"]).endswith(
        "/celery -A workers.app worker -n fetch-2@%h -Q fetch.0,fetch.1,fetch.2 -P threads -c 5"
    )
    assert f"-n rotator@%h -Q rotate.{NODE} -P threads" in command_line(running["rotator"])
    assert "-n dispatcher@%h -Q dispatch,adhoc -P threads" in command_line(running["dispatcher"])
    assert "fetch-3" not in running


def test_a_worker_has_time_to_finish_visits_under_way() -> None:
    assert system_programs(deadline=25, lease=60)["fetch-1"].stop_within > 25


def test_a_program_that_sends_work_stops_before_the_one_that_does_it() -> None:
    running = system_programs(sqs_queue_url="http://127.0.0.1:1/1/q")
    assert {running[name].stage for name in ("beat", "bridge", "sqs")} == {Stage.TRIGGERS}
    assert (
        Stage.TRIGGERS
        > running["dispatcher"].stage
        > running["fetch-1"].stage
        > running["rotator"].stage
        > Stage.STAND_INS
    )


def test_sqs_runs_only_if_there_is_a_queue() -> None:
    assert "sqs" not in system_programs()


def test_stand_ins_and_their_settings_agree() -> None:
    simulators = setup(with_aws=True)
    commands = {
        program.name: command_line(program) for program in programs.stand_in_programs(simulators)
    }
    services = simulators.services()
    assert services["relay_url"].startswith("http://127.0.0.1:1001/")
    assert "simulate --homes 7 --port 1001" in commands["simulator"]
    assert "simulate-s3 --port 1002 --directory /data/s3 --bucket eagle-logger" in commands["s3"]
    assert services["archive_url"] == "s3://eagle-logger/archive"
    assert commands["aws"].endswith("-m moto.server -H 127.0.0.1 -p 1003")
    assert services["sqs_queue_url"].startswith("http://127.0.0.1:1003/")
    assert not any("a-secret" in command for command in commands.values())


def test_without_aws_there_is_neither_its_stand_in_nor_a_topic() -> None:
    assert "aws" not in {
        program.name for program in programs.stand_in_programs(setup(with_aws=False))
    }
    assert "sns_topic_arns" not in setup(with_aws=False).services()


def test_aws_is_simulated_only_if_the_extra_packages_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert programs.can_simulate_aws()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: None if name.startswith("moto") else find_spec(name),
    )
    assert not programs.can_simulate_aws()


def test_no_repr_shows_a_secret_of_the_stand_ins_or_of_flower() -> None:
    settings = Settings(services={}, data_dir=Path("/data"))
    shown = repr(setup(with_aws=True)) + repr(programs.flower_program(settings, "flower-pass"))
    assert "a-secret" not in shown
    assert "flower-pass" not in shown


def test_flower_shows_arguments_and_results_here_as_in_docker() -> None:
    options = command_line(
        programs.flower_program(Settings(services={}, data_dir=Path("/data")), "flower-pass")
    )
    in_docker = (ROOT / "docker" / "flower.py").read_text()
    assert f"--tasks-columns={programs.TASKS_COLUMNS}" in options
    assert f'tasks_columns = "{programs.TASKS_COLUMNS}"' in in_docker
    assert {"args", "result"} < set(programs.TASKS_COLUMNS.split(","))
