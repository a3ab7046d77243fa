"""Fault 7: messages that come ten times, or again; two of what should be one; two versions side by
side."""

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
from tests.faults.system_under_test import OLD, Cast, Trial
from workers.process.celery_transport import LONGEST_DISPATCH_QUEUE

ROOT = Path(__file__).parents[2]
FLOOD = 20_000
COMMIT = "de17400"
"""Of before the circuit breaker, the parking of poison users, and what else came with this harness.
"""


def goes_on(words: str, lasts: float) -> Strike:
    return Strike(words, lambda _: None, lasts=lasts, flow=archiving)


def for_a_while(words: str) -> Sequence[Strike]:
    return [goes_on(words, 20)]


def tenfold(_: Random) -> Sequence[Strike]:
    return for_a_while("every message comes ten times at once")


def again(chance: Random) -> Sequence[Strike]:
    """Slower than the visibility timeout, so that the broker gives each message to somebody else
    meanwhile."""

    def slow(trial: Trial) -> None:
        trial.outside.s3_misbehaves(
            {"fault": "slow", "seconds": 3.0, "methods": ("PUT", "HEAD", "GET"), "share": 0.5}
        )
        trial.outside.relay_misbehaves(
            {"fault": "latency", "seconds": 4.0, "share": 0.5}, seed=chance.randrange(1000)
        )

    def well(trial: Trial) -> None:
        trial.outside.s3_misbehaves()
        trial.outside.relay_misbehaves()

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
    """Keep the dispatcher away while beat sends on. Before the second end, twenty thousand messages
    of a version that let messages expire are added."""

    def stop(trial: Trial) -> None:
        trial.manager.stop(["dispatcher"])

    def start(trial: Trial) -> None:
        with redis.Redis.from_url(trial.settings.broker) as broker:
            waiting = broker.llen(DISPATCH)
        assert waiting <= LONGEST_DISPATCH_QUEUE, f"{waiting} messages of beat's wait"
        trial.manager.start(["dispatcher"])

    def start_before_a_flood(trial: Trial) -> None:
        with redis.Redis.from_url(trial.settings.broker) as broker:
            message = json.loads(bytes(broker.lindex(DISPATCH, 0)))
            message["headers"]["expires"] = "2026-01-01T00:00:00+00:00"
            broker.rpush(DISPATCH, *[json.dumps(message)] * FLOOD)
        trial.manager.start(["dispatcher"])

    words = "no dispatcher"
    return [
        Strike(words, stop, start, lasts=chance.uniform(20, 30), flow=archiving),
        Strike(
            f"{words}, then {FLOOD} old messages",
            stop,
            start_before_a_flood,
            lasts=chance.uniform(5, 10),
            flow=archiving,
        ),
    ]


def deployment(chance: Random) -> Sequence[Strike]:
    """The old programs end one by one, each a while after its successor has come."""
    old = list(OLD)
    chance.shuffle(old)
    return [
        goes_on("half of the programs are of an old version", 15),
        *(stopped(f"the old {name}", name) for name in old),
    ]


def stopped(words: str, name: str) -> Strike:
    return Strike(f"{words} is stopped", lambda trial: trial.manager.stop([name]), flow=archiving)


def old_version(directory: Path) -> Path:
    """The system as it was at COMMIT. Skips the test where the repository's history is not at hand."""
    archived = subprocess.run(
        ["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=False
    )
    if archived.returncode != 0:
        pytest.skip("the repository's history is not here")
    directory.mkdir()
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archived.stdout, check=True)
    where = [
        sys.executable,
        "-P",
        "-c",
        "import workers.app, eagle_logger; print(workers.app.__file__, eagle_logger.__file__)",
    ]
    told = subprocess.run(
        where,
        env={**environment(directory), "PYTHONPATH": str(directory)},
        capture_output=True,
        check=True,
    )
    assert told.stdout.count(str(directory).encode()) == 2
    return directory


def came_again(trial: Trial) -> Sequence[str]:
    """That messages really were carried out more than once."""
    lines = [
        line
        for log in trial.manager.log_dir.glob("*.log")
        for line in log.read_text().splitlines()
        if line[:1] == "{"
    ]
    done = Counter(
        told["message_id"]
        for told in map(json.loads, lines)
        if told["event"] in {"fetch", "rotate_shard"}
    )
    again = sum(1 for count in done.values() if count > 1)
    trial.notes["again"] = f"{again} of {len(done)} messages"
    return [] if again else ["no message came twice: this run shows nothing"]


def how_often(trial: Trial) -> str:
    return f"{trial.notes['again']} were carried out more than once"


SCENARIOS = [
    Scenario("delivery-tenfold", 7, "every message ten times at once", tenfold,
             Cast(app="tests.faults.app_sending_tenfold", most_waiting=1000), also=came_again, told=how_often),
    Scenario("delivery-again", 7, "messages delivered again after their visibility timeout", again,
             Cast(app="tests.faults.app_redelivering_soon"), also=came_again, told=how_often),
    Scenario("delivery-twins", 7, "two beats, two dispatchers", two_of_each, Cast(twins=("beat", "dispatcher"))),
    Scenario("delivery-away", 7, f"no dispatcher; no dispatcher, and {FLOOD} old messages", dispatcher_away,
             Cast(most_waiting=FLOOD + 100)),
    Scenario("delivery-versions", 7, f"an old version ({COMMIT}) and the new one side by side during a deployment", deployment,
             Cast(old=old_version, twins=("rotator", "dispatcher"))),
]  # fmt: skip
