"""The programs that make up the system, in the order in which they start; they stop in the reverse
order."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from eagle_logger.broker_queues import ADHOC, DISPATCH, fetch_queues, rotate_queue
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

_KILL_MARGIN_S = 5.0
"""Seconds that a worker has beside its own grace period, before supervisor kills it."""

TASKS_COLUMNS = "name,args,result,state,received,runtime,worker"
"""The columns of Flower's list of tasks. A task's arguments are its users; its result says what was
done."""


class Stage(IntEnum):
    """Programs of one stage start and stop together; a stage stops when all that come after it have
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
    """`name` is what it is called everywhere; it stops within `stop_within` seconds of SIGTERM or
    is killed.

    It is ready when `answers_at` answers 200, or when `reports_as` has reported progress to the
    user store; when it has neither, as soon as it runs.
    """

    name: str
    command: Sequence[str]
    stage: Stage
    stop_within: float = 20.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers_at: str | None = None
    reports_as: str | None = None
    silent_after: float = 45.0
    """Seconds without a report of progress until `up` reports that."""
    is_essential: bool = True
    """Whether the system ends if this program keeps dying. Without a program that is not essential,
    readings still flow."""


def system_programs(settings: Settings, node: str) -> list[Program]:
    """What runs in every case but Redis: everything that works for the users."""
    stops_within = grace_period(settings.deadline, rotates=False) + _KILL_MARGIN_S
    rotator_stops_within = grace_period(settings.deadline, rotates=True) + _KILL_MARGIN_S
    fetching = ",".join(fetch_queues(settings.fetch_queues))
    programs = [
        *(
            _worker(
                ROTATOR if number == 1 else f"{ROTATOR}-{number}",
                rotate_queue(node),
                4,
                Stage.ROTATING,
                rotator_stops_within,
            )
            for number in range(1, settings.rotate_workers + 1)
        ),
        *(
            _worker(
                f"fetch-{number}", fetching, settings.fetch_threads, Stage.FETCHING, stops_within
            )
            for number in range(1, settings.fetch_workers + 1)
        ),
        _worker(DISPATCHER, f"{DISPATCH},{ADHOC}", 16, Stage.DISPATCHING, stops_within),
        # Beat reports each message that it has sent, one a second, so its silence shows soon.
        Program(
            BEAT,
            [*_celery(BEAT), "--pidfile="],
            Stage.TRIGGERS,
            reports_as=BEAT,
            silent_after=5.0,
        ),
    ]
    return [*programs, *_bridge(settings)]


def flower_program(settings: Settings, password: str) -> Program:
    """Flower shuts workers down on request, so it stays on loopback and behind a password, which no
    command line shows."""
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
        [*_celery("flower"), *options, "--state-save-interval=60000"],
        Stage.FLOWER,
        environment={"FLOWER_BASIC_AUTH": f"eagle:{password}"},
        answers_at=f"http://127.0.0.1:{settings.flower_port}/healthcheck",
        is_essential=False,
    )


def stand_in_programs(plan: SimulatorSetup) -> list[Program]:
    """Rainforest, S3, SNS and SQS, played on this machine."""
    command = _beside_python("eagle-logger")
    homes = ["simulate", "--homes", str(plan.homes), "--port", str(plan.relay_port)]
    files = ["--ledger", str(plan.ledger), "--users-file", str(plan.users_file)]
    objects = ["--directory", str(plan.s3_directory), "--bucket", BUCKET]
    programs = [
        Program(
            SIMULATOR,
            [*command, *homes, *files],
            Stage.STAND_INS,
            answers_at=f"{plan.relay_origin}/healthz",
        ),
        Program(
            "s3",
            [*command, "simulate-s3", "--port", str(plan.s3_port), *objects],
            Stage.STAND_INS,
            answers_at=f"{plan.s3_url}{FAULTS_PATH}",
        ),
    ]
    if plan.with_aws:
        moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(plan.aws_port)]
        programs.append(Program(AWS, moto, Stage.STAND_INS, answers_at=f"{plan.aws_url}/moto-api/"))
    return programs


def can_simulate_aws() -> bool:
    """Whether the extra `stand-ins`, which simulates SNS and SQS, is installed."""
    return is_installed("workers.sqs") and is_installed("moto.server") and is_installed("flask")


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _bridge(settings: Settings) -> list[Program]:
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
    host = "127.0.0.1" if settings.bridge_host == "0.0.0.0" else settings.bridge_host  # noqa: S104  (asked for, not chosen)
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


def _worker(name: str, queues: str, threads: int, stage: Stage, stop_within: float) -> Program:
    options = ["-n", f"{name}@%h", "-Q", queues, "-P", "threads", "-c", str(threads)]
    return Program(name, [*_celery("worker"), *options], stage, stop_within, reports_as=name)


def _celery(command: str) -> list[str]:
    return [*_beside_python("celery"), "-A", "workers.app", command]


def _beside_python(script: str) -> list[str]:
    """PATH may hold another one, or none."""
    return [sys.executable, str(Path(sys.executable).parent / script)]
