"""The programs that make up the system, in the order in which they start; they stop in the reverse
order."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

from eagle_logger.broker_queues import ADHOC, DISPATCH, TABLES, fetch_queues, rotate_queue
from eagle_logger.settings import Settings
from eagle_logger.simulator.s3.server import FAULTS_PATH
from workers.process.shutdown import grace_period
from workers.up.simulators import BUCKET, SimulatorSetup

AWS = "aws"
BEAT = "beat"
BRIDGE = "bridge"
DISPATCHER = "dispatcher"
FLOWER = "flower"
REDIS = "redis"
ROTATOR = "rotator"
SIMULATOR = "simulator"
SQS = "sqs"
ROLLER = "tables"

_KILL_MARGIN_S = 5.0
"""Seconds that a worker has beside its own grace period, before supervisor kills it."""

TASKS_COLUMNS = "name,args,result,state,received,runtime,worker"
"""The columns of Flower's list of tasks. A task's arguments are its users; its result says what was
done."""


class Stage(IntEnum):
    """Programs of one stage start and stop together. A stage stops once all later stages have
    stopped."""

    REDIS = 1
    STAND_INS = 2
    FLOWER = 3
    ROTATING = 4
    FETCHING = 5
    DISPATCHING = 6
    TRIGGERS = 7


@dataclass(frozen=True, slots=True)
class Program:
    """A program, under the name that `up`, its log file and Celery use. It is killed if it has not
    stopped `stop_within` seconds after SIGTERM.

    It is ready when the URL `answers_at` answers 200, or when progress was reported to the user
    store under the name `reports_as`. A program that has neither is ready as soon as it runs.
    """

    name: str
    command: Sequence[str]
    stage: Stage
    stop_within: float = 20.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers_at: str | None = None
    reports_as: str | None = None
    silent_after: float = 45.0
    """After so many seconds without a report of progress, `up` says so."""
    is_essential: bool = True
    """Whether the system ends if this program keeps dying. Readings still flow without a program
    that is not essential."""


def system_programs(settings: Settings, node: str) -> list[Program]:
    """The programs that run with and without stand-ins: the workers, beat, the bridge and sqs."""
    worker_stops_within = grace_period(settings.deadline, rotates=False) + _KILL_MARGIN_S
    rotator_stops_within = grace_period(settings.deadline, rotates=True) + _KILL_MARGIN_S
    rotators = [
        _worker_program(
            ROTATOR if number == 1 else f"{ROTATOR}-{number}",
            rotate_queue(node),
            4,
            Stage.ROTATING,
            rotator_stops_within,
        )
        for number in range(1, settings.rotate_workers + 1)
    ]
    fetchers = [
        _worker_program(
            f"fetch-{number}",
            ",".join(fetch_queues(settings.fetch_queues)),
            settings.fetch_threads,
            Stage.FETCHING,
            worker_stops_within,
        )
        for number in range(1, settings.fetch_workers + 1)
    ]
    dispatcher = _worker_program(
        DISPATCHER, f"{DISPATCH},{ADHOC}", 16, Stage.DISPATCHING, worker_stops_within
    )
    # Beat reports each message that it has sent, one a second, so its silence shows soon.
    beat_command = [*_celery_command(BEAT), "--pidfile="]
    beat = Program(BEAT, beat_command, Stage.TRIGGERS, reports_as=BEAT, silent_after=5.0)
    rollers = []
    if is_installed("pyarrow"):
        roller = _worker_program(ROLLER, TABLES, 1, Stage.ROTATING, rotator_stops_within)
        rollers.append(replace(roller, is_essential=False))
    return [*rotators, *rollers, *fetchers, dispatcher, beat, *_outside_programs(settings)]


def flower_program(settings: Settings, password: str) -> Program:
    """Flower can shut workers down, so it listens on loopback only and asks for a password. No
    command line shows the password."""
    state = settings.data_dir.absolute() / "flower.db"
    options = [
        "--address=127.0.0.1",
        f"--port={settings.flower_port}",
        "--persistent=True",
        f"--db={state}",
        f"--tasks-columns={TASKS_COLUMNS}",
    ]
    return Program(
        FLOWER,
        [*_celery_command("flower"), *options, "--state-save-interval=60000"],
        Stage.FLOWER,
        environment={"FLOWER_BASIC_AUTH": f"eagle:{password}"},
        answers_at=f"http://127.0.0.1:{settings.flower_port}/healthcheck",
        is_essential=False,
    )


def stand_in_programs(setup: SimulatorSetup) -> list[Program]:
    """The programs that simulate Rainforest's relay, S3, SNS and SQS on this machine."""
    command = _script_command("eagle-logger")
    homes = ["simulate", "--homes", str(setup.homes), "--port", str(setup.relay_port)]
    files = ["--ledger", str(setup.ledger), "--users-file", str(setup.users_file)]
    objects = ["--directory", str(setup.s3_directory), "--bucket", BUCKET]
    programs = [
        Program(
            SIMULATOR,
            [*command, *homes, *files],
            Stage.STAND_INS,
            answers_at=f"{setup.relay_origin}/healthz",
        ),
        Program(
            "s3",
            [*command, "simulate-s3", "--port", str(setup.s3_port), *objects],
            Stage.STAND_INS,
            answers_at=f"{setup.s3_url}{FAULTS_PATH}",
        ),
    ]
    if setup.with_aws:
        moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(setup.aws_port)]
        ready_url = f"{setup.aws_url}/moto-api/"
        programs.append(Program(AWS, moto, Stage.STAND_INS, answers_at=ready_url))
    return programs


def can_simulate_aws() -> bool:
    """Whether the packages of the extra `stand-ins`, which simulate SNS and SQS, are installed."""
    return is_installed("workers.sqs") and is_installed("moto.server") and is_installed("flask")


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _outside_programs(settings: Settings) -> list[Program]:
    """The programs that take messages from outside: the bridge and sqs."""
    programs = []
    if is_installed("workers.server.__main__"):
        programs.append(bridge_program(settings))
    if settings.sqs_queue_url and is_installed("workers.sqs"):
        command = [sys.executable, "-m", "workers.sqs"]
        sqs = Program(
            SQS, command, Stage.TRIGGERS, stop_within=30.0, reports_as=SQS, is_essential=False
        )
        programs.append(sqs)
    return programs


def bridge_program(settings: Settings) -> Program:
    every_address = "0.0.0.0"  # noqa: S104  (compared with, not chosen)
    host = "127.0.0.1" if settings.bridge_host == every_address else settings.bridge_host
    return Program(
        BRIDGE,
        [sys.executable, "-m", "workers.server"],
        Stage.TRIGGERS,
        environment={
            "EAGLE_BRIDGE_PORT": str(settings.bridge_port),
            "EAGLE_BRIDGE_PROBE_PORT": str(settings.probe_port),
        },
        answers_at=f"http://{host}:{settings.bridge_port}/healthz",
        is_essential=False,
    )


def _worker_program(
    name: str, queues: str, threads: int, stage: Stage, stop_within: float
) -> Program:
    options = ["-n", f"{name}@%h", "-Q", queues, "-P", "threads", "-c", str(threads)]
    return Program(
        name, [*_celery_command("worker"), *options], stage, stop_within, reports_as=name
    )


def _celery_command(command: str) -> list[str]:
    return [*_script_command("celery"), "-A", "workers.app", command]


def _script_command(script: str) -> list[str]:
    """Run the script that lies beside this Python. PATH may lead to another one, or to none."""
    return [sys.executable, str(Path(sys.executable).parent / script)]
