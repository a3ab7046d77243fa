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


def made(**settings: object) -> dict[str, Program]:
    given = Settings(services={}, data_dir=Path("/data"), **settings)  # type: ignore[arg-type]
    return {program.name: program for program in programs.system_programs(given, NODE)}


def words(program: Program) -> str:
    return " ".join(program.command)


def plan(*, with_aws: bool) -> SimulatorSetup:
    return SimulatorSetup(7, Path("/data/simulator"), 1001, 1002, 1003, "a-secret", with_aws)


def test_workers_are_celery_by_name_queue_and_pool() -> None:
    found = made(fetch_workers=2, fetch_queues=3, fetch_threads=5)
    assert words(found["fetch-2"]).endswith(
        "/celery -A workers.app worker -n fetch-2@%h -Q fetch.0,fetch.1,fetch.2 -P threads -c 5"
    )
    assert f"-n rotator@%h -Q rotate.{NODE} -P threads" in words(found["rotator"])
    assert "-n dispatcher@%h -Q dispatch,adhoc -P threads" in words(found["dispatcher"])
    assert "fetch-3" not in found


def test_visits_under_way_may_finish() -> None:
    assert made(deadline=25, lease=60)["fetch-1"].stop_within > 25


def test_who_sends_work_stops_before_who_does_it() -> None:
    found = made(sqs_queue_url="http://127.0.0.1:1/1/q")
    assert {found[name].stage for name in ("beat", "bridge", "sqs")} == {Stage.TRIGGERS}
    assert (
        Stage.TRIGGERS
        > found["dispatcher"].stage
        > found["fetch-1"].stage
        > found["rotator"].stage
        > Stage.STAND_INS
    )


def test_the_queue_is_polled_only_if_there_is_one() -> None:
    assert "sqs" not in made()


def test_stand_ins_and_their_settings_agree() -> None:
    full = plan(with_aws=True)
    found = {program.name: words(program) for program in programs.stand_in_programs(full)}
    services = full.services()
    assert services["relay_url"].startswith("http://127.0.0.1:1001/")
    assert "simulate --homes 7 --port 1001" in found["simulator"]
    assert "simulate-s3 --port 1002 --directory /data/s3 --bucket eagle-logger" in found["s3"]
    assert services["archive_url"] == "s3://eagle-logger/archive"
    assert found["aws"].endswith("-m moto.server -H 127.0.0.1 -p 1003")
    assert services["sqs_queue_url"].startswith("http://127.0.0.1:1003/")
    assert not any("a-secret" in command for command in found.values())


def test_without_anybody_who_listens_there_is_no_topic() -> None:
    assert "aws" not in {
        program.name for program in programs.stand_in_programs(plan(with_aws=False))
    }
    assert "sns_topic_arns" not in plan(with_aws=False).services()


def test_without_the_extra_packages_nobody_plays_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.can_simulate_aws()
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name.startswith("moto") else found(name)
    )
    assert not programs.can_simulate_aws()


def test_the_plan_and_flower_keep_their_secrets_to_themselves() -> None:
    settings = Settings(services={}, data_dir=Path("/data"))
    shown = repr(plan(with_aws=True)) + repr(programs.flower_program(settings, "flower-pass"))
    assert "a-secret" not in shown
    assert "flower-pass" not in shown


def test_flower_shows_arguments_and_results_here_as_in_docker() -> None:
    options = words(
        programs.flower_program(Settings(services={}, data_dir=Path("/data")), "flower-pass")
    )
    in_docker = (ROOT / "docker" / "flower.py").read_text()
    assert f"--tasks-columns={programs.TASKS_COLUMNS}" in options
    assert f'tasks_columns = "{programs.TASKS_COLUMNS}"' in in_docker
    assert {"args", "result"} < set(programs.TASKS_COLUMNS.split(","))
