"""Fault 7: messages that come ten times, or again; two programs where one should run; two versions
side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import redis

from eagle_logger.broker_queues import DISPATCH
from tests.acceptance.running import environment
from tests.faults.killed_processes import killed
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import OLD, Setup, Trial
from workers.process.celery_transport import LONGEST_DISPATCH_QUEUE

ROOT = Path(__file__).parents[2]
FLOOD = 20_000
COMMIT = "de17400"
"""The old version: it has no circuit breaker yet, and parks no poison users."""


def goes_on(what: str, lasts: float) -> Strike:
    return Strike(what, lambda _: None, lasts=lasts, flow=archiving)


def tenfold(_: Random) -> Sequence[Strike]:
    return [goes_on("every message comes ten times at once", 20)]


def again(chance: Random) -> Sequence[Strike]:
    """Tasks take longer than the visibility timeout, so that the broker gives each message to
    another worker meanwhile."""

    def slow(trial: Trial) -> None:
        trial.stand_ins.s3_misbehaves(
            {"fault": "slow", "seconds": 3.0, "methods": ("PUT", "HEAD", "GET"), "share": 0.5}
        )
        trial.stand_ins.relay_misbehaves(
            {"fault": "latency", "seconds": 4.0, "share": 0.5}, seed=chance.randrange(1000)
        )

    def well(trial: Trial) -> None:
        trial.stand_ins.s3_misbehaves()
        trial.stand_ins.relay_misbehaves()

    return [
        Strike(
            "relay and S3 take longer than a message stays invisible",
            slow,
            well,
            lasts=25,
            flow=archiving,
        )
    ]


def two_of_each(chance: Random) -> Sequence[Strike]:
    names = ["beat", "beat-2", "dispatcher", "dispatcher-2"]
    chance.shuffle(names)
    return [
        goes_on("two beats, two dispatchers", 10),
        *(killed(name, chance.uniform(0, 3)) for name in names),
    ]


def dispatcher_away(chance: Random) -> Sequence[Strike]:
    """Stop the dispatcher while beat goes on sending. Before its second start, the queue gets
    twenty thousand messages of a version that let messages expire."""

    def stop(trial: Trial) -> None:
        trial.manager.stop(["dispatcher"])

    def start(trial: Trial) -> None:
        with redis.Redis.from_url(trial.settings.broker) as broker:
            waiting = broker.llen(DISPATCH)
        assert waiting <= LONGEST_DISPATCH_QUEUE, f"{waiting} of beat's messages wait"
        trial.manager.start(["dispatcher"])

    def start_before_a_flood(trial: Trial) -> None:
        with redis.Redis.from_url(trial.settings.broker) as broker:
            message = json.loads(bytes(broker.lindex(DISPATCH, 0)))
            message["headers"]["expires"] = "2026-01-01T00:00:00+00:00"
            broker.rpush(DISPATCH, *[json.dumps(message)] * FLOOD)
        trial.manager.start(["dispatcher"])

    return [
        Strike("no dispatcher", stop, start, lasts=chance.uniform(20, 30), flow=archiving),
        Strike(
            f"no dispatcher, then {FLOOD} old messages",
            stop,
            start_before_a_flood,
            lasts=chance.uniform(5, 10),
            flow=archiving,
        ),
    ]


def deployment(chance: Random) -> Sequence[Strike]:
    """The old programs end one by one, each a while after its successor has started."""
    old = list(OLD)
    chance.shuffle(old)
    return [
        goes_on("half of the programs are of an old version", 15),
        *(stopped(f"the old {name}", name) for name in old),
    ]


def stopped(what: str, name: str) -> Strike:
    return Strike(f"{what} is stopped", lambda trial: trial.manager.stop([name]), flow=archiving)


def old_version(directory: Path) -> Path:
    """The system as it was at COMMIT. Skips the test where the repository's history is missing."""
    archived = subprocess.run(
        ["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False
    )
    if archived.returncode != 0:
        pytest.skip("the repository's history is not here")
    directory.mkdir()
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archived.stdout, check=True)
    print_files = (
        "import workers.app, eagle_logger; print(workers.app.__file__, eagle_logger.__file__)"
    )
    imported = subprocess.run(
        [sys.executable, "-P", "-c", print_files],
        env={**environment(directory), "PYTHONPATH": str(directory)},
        capture_output=True,
        check=True,
    )
    assert imported.stdout.count(str(directory).encode()) == 2
    return directory


def came_again(trial: Trial) -> Sequence[str]:
    """Check that messages really were carried out more than once."""
    lines = [
        line
        for log in trial.manager.log_dir.glob("*.log")
        for line in log.read_text().splitlines()
        if line[:1] == "{"
    ]
    done = Counter(
        event["message_id"]
        for event in map(json.loads, lines)
        if event["event"] in {"fetch", "rotate_shard"}
    )
    again = sum(1 for count in done.values() if count > 1)
    trial.notes["again"] = f"{again} of {len(done)} messages"
    return [] if again else ["no message came twice: this run shows nothing"]


def how_often(trial: Trial) -> str:
    return f"{trial.notes['again']} were carried out more than once"


SCENARIOS = [
    Scenario(
        "delivery-tenfold",
        7,
        "every message ten times at once",
        tenfold,
        Setup(app="tests.faults.app_sending_tenfold", most_waiting=1000),
        further_findings=came_again,
        remark=how_often,
    ),
    Scenario(
        "delivery-again",
        7,
        "messages delivered again after their visibility timeout",
        again,
        Setup(app="tests.faults.app_redelivering_soon"),
        further_findings=came_again,
        remark=how_often,
    ),
    Scenario(
        "delivery-twins",
        7,
        "two beats, two dispatchers",
        two_of_each,
        Setup(twins=("beat", "dispatcher")),
    ),
    Scenario(
        "delivery-away",
        7,
        f"no dispatcher; no dispatcher, and {FLOOD} old messages",
        dispatcher_away,
        Setup(most_waiting=FLOOD + 100),
    ),
    Scenario(
        "delivery-versions",
        7,
        f"an old version ({COMMIT}) and the new one side by side during a deployment",
        deployment,
        Setup(old=old_version, loses_index=True, twins=("rotator", "dispatcher")),
    ),
]
