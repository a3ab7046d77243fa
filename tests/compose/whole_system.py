"""`make compose-test`: the whole system as containers on a real engine, from its first start to the
check that nothing was lost.

The tests go through the life of one system, in order. Plain `pytest` does not collect them.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any
from urllib.request import Request

import pytest

from tests.compose.compose import CommandFailed, Compose, Container, eventually, get_json

pytestmark = pytest.mark.timeout(1200)

Tell = Callable[[object], None]

HOMES = 25
LONG_LIVED = (
    "redis",
    "beat",
    "dispatcher",
    "worker",
    "rotator",
    "tables",
    "bridge",
    "sqs",
    "flower",
    "simulator",
    "s3",
    "aws",
)
GRACE = 100.0
"""Seconds: the longest stop_grace_period, and a little more for the engine itself."""


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    system = Compose()
    system("down", "--volumes", "--remove-orphans", within=GRACE)
    system("build", "--quiet", within=800)
    try:
        yield system
    finally:
        system("down", "--volumes", "--remove-orphans", within=GRACE)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints a line at once, beside pytest's own output."""

    def print_line(what: object) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{what}\n")

    return print_line


@pytest.fixture(scope="module")
def deaths() -> list[str]:
    """A line for each killed process, in the form that `eagle-logger verify` reads."""
    return []


def test_a_fresh_clone_has_readings_in_the_archive_and_flower(compose: Compose, tell: Tell) -> None:
    started = time.monotonic()
    compose("up", "-d")
    eventually(lambda: compose.objects() >= HOMES, "an object of every home")
    eventually(lambda: compose.flower("/api/workers")[0] == 200, "Flower answers")
    tell(f"up, archived and shown after {time.monotonic() - started:.0f} s")


def test_every_service_becomes_healthy(compose: Compose) -> None:
    healthy(compose, *LONG_LIVED)
    ended = {one.service: one.exit_code for one in compose.containers() if one.state == "exited"}
    assert ended == {"init": 0, "homes": 0}


def test_nothing_is_published_beyond_loopback() -> None:
    for files in ((), ("-f", "docker-compose.yml", "--profile", "sqs")):
        services = json.loads(Compose()(*files, "config", "--format", "json"))["services"]
        published = {
            port["host_ip"] for service in services.values() for port in service.get("ports", [])
        }
        assert published == {"127.0.0.1"}


def test_each_published_address_opens_one_service_only() -> None:
    words = ("-f", "docker-compose.yml", "--profile", "monitoring", "config", "--format", "json")
    services = json.loads(Compose(BRIDGE_PUBLISH_ON="0.0.0.0")(*words))["services"]
    ports = {
        name: port["host_ip"]
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert ports == {
        "bridge": "0.0.0.0",
        **dict.fromkeys(("flower", "prometheus", "grafana"), "127.0.0.1"),
    }


def test_each_service_sees_the_secrets_that_it_needs(compose: Compose) -> None:
    def secrets(service: str) -> set[str]:
        return set(compose.exec(service, "ls", "/secrets").split())

    for service in ("beat", "rotator", "tables", "sqs"):
        assert secrets(service) == {"EAGLE_REDIS_URL"}
    assert secrets("flower") == {"EAGLE_REDIS_URL", "flower_password"}
    assert secrets("worker") == secrets("dispatcher") == {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS"}
    assert secrets("bridge") == {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS", "EAGLE_API_TOKEN"}


def test_the_system_alone_needs_no_env_file_and_no_stand_in() -> None:
    services = json.loads(Compose()("-f", "docker-compose.yml", "config", "--format", "json"))[
        "services"
    ]
    assert set(services) == {
        "init",
        "redis",
        "beat",
        "dispatcher",
        "worker",
        "rotator",
        "tables",
        "bridge",
        "flower",
    }
    assert not any(
        "EAGLE_RELAY_URL" in (service.get("environment") or {}) for service in services.values()
    )


def test_init_reports_all_mistakes_in_the_settings_and_nothing_starts(compose: Compose) -> None:
    mistakes = ("-e", "EAGLE_SHARDS=many", "-e", "EAGLE_LEASE=3", "-e", "EAGLE_SECRET_KEYS=none")
    with pytest.raises(
        CommandFailed,
        match=r"(?s)exit 2\n.*EAGLE_SHARDS: .*EAGLE_LEASE .*EAGLE_SECRET_KEYS: key 1 of 1",
    ):
        compose("run", "--rm", "--no-deps", *mistakes, "init")
    services = json.loads(compose("config", "--format", "json"))["services"]
    for name in ("beat", "dispatcher", "worker", "rotator", "tables", "bridge", "sqs", "flower"):
        assert services[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_containers_are_small_and_have_few_rights(compose: Compose, tell: Tell) -> None:
    size = int(compose.docker("image", "inspect", "eagle-logger", "--format", "{{.Size}}"))
    ours = int(compose.exec("worker", "du", "-sm", "/opt").split()[0])
    tell(f"the image: {size / 1e6:.0f} MB, of which not the base image's: {ours} MB")
    assert ours < 200
    for service in LONG_LIVED:
        assert compose.exec(service, "id", "-u").strip() == "10001"
        with pytest.raises(AssertionError, match="Read-only file system"):
            compose.exec(service, "sh", "-c", "touch /opt/here || touch /usr/here")
    compilers = compose.exec("worker", "sh", "-c", "command -v cc gcc g++ clang make pip || true")
    assert "/opt/eagle-logger" not in compilers
    assert "gcc" not in compilers


def test_inspect_through_exec(compose: Compose) -> None:
    def inspected(what: str) -> dict[str, Any]:
        """The answers of all processes, by their names without the host. Each has only a second."""

        def of_all() -> dict[str, Any]:
            command = ("celery", "-A", "workers.app", "inspect", "--json", what)
            answers = json.loads(compose.exec("dispatcher", *command))
            by_name = {name.partition("@")[0]: answer for name, answer in answers.items()}
            return by_name if {"dispatcher", "fetch", "rotator", "tables"} <= set(by_name) else {}

        return eventually(of_all, f"everybody answers `inspect {what}`")

    eventually(lambda: "celerybeat" in inspected("ping"), "beat answers, too")
    assert set(inspected("ping")) <= {
        *("celerybeat", "dispatcher", "fetch", "rotator", "tables"),
    }
    registered = inspected("registered")["dispatcher"]
    assert {"dispatch", "fetch", "rotate", "rotate_shard", "roll_up"} <= set(registered)
    queues = inspected("active_queues")
    taken = {name: {queue["name"] for queue in several or ()} for name, several in queues.items()}
    assert taken["fetch"] == {"fetch.0"}
    assert taken["dispatcher"] == {"dispatch", "adhoc"}
    assert taken["tables"] == {"tables"}
    assert taken["rotator"] == {f"rotate.{node(compose)}"}


def test_flower_has_a_password_and_shows_results_in_words(compose: Compose) -> None:
    assert compose.flower("/api/workers", password=False)[0] == 401
    assert compose.flower("/", password=False)[0] == 401
    cloud_id = some_user(compose)
    tasks = eventually(
        lambda: compose.flower(
            f"/api/tasks?taskname=fetch&state=SUCCESS&limit=5&search={cloud_id}"
        )[1],
        "tasks found by cloud id",
    )
    for task in tasks.values():
        assert cloud_id in task["args"]
        assert re.match(r"'\d+ users?, ", task["result"])


def test_flower_finds_a_message_by_the_last_of_its_250_users(compose: Compose) -> None:
    cloud_ids = [f"{number:06x}" for number in range(250)]
    message = (
        "celery",
        "-A",
        "workers.app",
        "call",
        "fetch",
        "--queue",
        "fetch.0",
        "--args",
        json.dumps([cloud_ids]),
    )
    sent = compose.exec("dispatcher", *message).strip()
    found = f"/api/tasks?taskname=fetch&state=SUCCESS&search={cloud_ids[-1]}"
    assert eventually(lambda: compose.flower(found)[1], "the message").keys() == {sent}


def test_a_ping_through_sns_and_sqs_is_fetched_at_once(compose: Compose) -> None:
    cloud_id = some_user(compose)
    fetched = rf'"cloud_ids": \["{cloud_id}"\].*"event": "fetch"'

    def pinged_and_fetched() -> bool:
        """A worker that visits the user just then fetches it once more by itself, and the
        dispatcher fetches nothing. Then we ping again."""
        assert cloud_id in compose.exec("bridge", "eagle-logger", "ping", cloud_id)
        with contextlib.suppress(AssertionError):
            eventually(
                lambda: re.search(fetched, compose("logs", "--no-log-prefix", "dispatcher")),
                "a fetch by the worker that takes ad-hoc requests",
                within=6,
            )
            return True
        return False

    eventually(pinged_and_fetched, "a ping that the dispatcher fetches")


def test_the_bridge_is_ready_and_its_api_needs_the_token(compose: Compose) -> None:
    url = f"http://127.0.0.1:{compose.bridge_port}"
    eventually(lambda: get_json(f"{url}/readyz")[0] == 200, "the system is ready")
    assert get_json(f"{url}/api/users/")[0] == 401
    token = compose.exec("bridge", "cat", "/secrets/EAGLE_API_TOKEN").strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert get_json(Request(f"{url}/api/users/", headers=headers))[0] == 200


def test_three_workers_share_one_log_volume(compose: Compose) -> None:
    compose("up", "-d", "--no-recreate", "--scale", "worker=3")
    healthy(compose, "worker")
    assert len(compose.containers("worker")) == 3
    names = {
        compose.docker("exec", one.id, "cat", "/data/logs/node-id")
        for one in compose.containers("worker")
    }
    assert len(names) == 1
    for one in compose.containers("worker"):
        eventually(partial(has_fetched, compose, one), "each of them fetches")


@pytest.mark.parametrize("service", LONG_LIVED)
def test_a_killed_service_comes_back(compose: Compose, deaths: list[str], service: str) -> None:
    killed = compose.container(service)
    before = compose.restarts(killed)
    name = compose.docker("inspect", "--format", "{{.Config.Hostname}}", killed.id).strip()
    pid = compose.kill(killed)
    deaths.append(death(killed, name, pid))
    eventually(lambda: compose.restarts(killed) > before, f"{service} is started again")
    readings = eventually(compose.readings, "the status")
    eventually(lambda: compose.readings() > readings, "readings go on")


def test_every_service_is_healthy_after_the_kills(compose: Compose) -> None:
    healthy(compose, *LONG_LIVED)


def test_flower_is_unhealthy_when_it_reaches_no_worker(compose: Compose) -> None:
    eventually(lambda: flower_heard_of_a_worker(compose, within="3"), "Flower reaches a worker")
    compose("stop", "redis", within=GRACE)
    try:
        eventually(
            lambda: not flower_heard_of_a_worker(compose, within="3"), "Flower reaches no worker"
        )
    finally:
        compose("start", "redis", within=GRACE)
    healthy(compose, *LONG_LIVED)


def test_a_stalled_service_becomes_unhealthy_and_recovers(
    compose: Compose, deaths: list[str]
) -> None:
    stalled = [compose.container("worker"), compose.container("beat")]
    for one in stalled:
        name = compose.docker("inspect", "--format", "{{.Config.Hostname}}", one.id).strip()
        # A reply that is under way now is never read: the visit's deadline passes meanwhile.
        deaths.append(death(one, name, compose.kill(one, "STOP")))
    for one in stalled:
        eventually(partial(is_unhealthy, compose, one), f"{one.service} is unhealthy")
        compose.kill(one, "CONT")
    healthy(compose, "worker", "beat")


def test_everything_stops_within_its_grace_period_and_carries_on_afterwards(
    compose: Compose, tell: Tell
) -> None:
    readings, objects, name = compose.readings(), compose.objects(), node(compose)
    fetches = "/api/tasks?taskname=fetch&state=SUCCESS&limit=1"
    task = next(iter(eventually(lambda: compose.flower(fetches)[1], "Flower knows a fetch")))
    started = time.monotonic()
    compose("stop", within=GRACE)
    tell(f"all stopped in {time.monotonic() - started:.0f} s")
    killed = {one.service for one in compose.containers() if one.exit_code == 137}
    assert killed == set()
    compose("down", within=GRACE)
    assert compose.containers() == []

    compose("up", "-d")
    eventually(lambda: compose.readings() > readings, "readings go on")
    assert node(compose) == name
    assert compose.objects() >= objects
    healthy(compose, *LONG_LIVED)
    assert compose.flower(f"/api/task/info/{task}")[1]["name"] == "fetch"

    def all_workers_are_shown() -> bool:
        workers = compose.flower("/api/workers?refresh=true")[1] or {}
        return {"dispatcher", "fetch", "rotator"} <= {name.partition("@")[0] for name in workers}

    eventually(all_workers_are_shown, "Flower shows all workers")


def test_nothing_was_lost(compose: Compose, deaths: list[str], tell: Tell) -> None:
    compose("stop", "beat", within=GRACE)
    eventually(lambda: compose.status()["totals"]["leased"] == 0, "no user is being fetched")
    compose("stop", "worker", "dispatcher", within=GRACE)
    compose.exec("rotator", "eagle-logger", "rotate", "--include-open")
    verify = (
        "eagle-logger",
        "verify",
        "--json",
        "--ledger",
        "/simulator/ledger.jsonl",
        "--deaths",
        "/dev/stdin",
    )
    output = compose(
        "run", "--rm", "--no-deps", "-T", "homes", *verify, stdin="".join(deaths), within=300
    )
    verdict = json.loads(output.splitlines()[-1])
    tell(verdict)
    assert verdict["readings_served"] > 10 * HOMES
    assert (verdict["lost"], verdict["duplicated"], verdict["misfiled"], verdict["unreadable"]) == (
        0,
        0,
        0,
        [],
    )
    assert verdict["not_archived_yet"] == 0


def healthy(compose: Compose, *services: str) -> None:
    def all_healthy() -> bool:
        found = [one for one in compose.containers() if one.service in services]
        return {one.service for one in found} == set(services) and all(
            one.health == "healthy" for one in found
        )

    eventually(all_healthy, f"{', '.join(services)} healthy")


def is_unhealthy(compose: Compose, container: Container) -> bool:
    return (
        compose.docker("inspect", "--format", "{{.State.Health.Status}}", container.id).strip()
        == "unhealthy"
    )


def flower_heard_of_a_worker(compose: Compose, within: str) -> bool:
    url = "http://127.0.0.1:5555/api/workers?refresh=true"
    try:
        compose.exec(
            "flower",
            "python",
            "-I",
            "/opt/docker/answers.py",
            url,
            "eagle:/secrets/flower_password",
            within,
        )
    except CommandFailed as exc:
        return "no worker was heard of" not in str(exc)
    return True


def has_fetched(compose: Compose, container: Container) -> bool:
    return '"event": "fetch"' in compose.docker("logs", container.id)


def node(compose: Compose) -> str:
    return compose.exec("rotator", "cat", "/data/logs/node-id").strip()


def some_user(compose: Compose) -> str:
    return str(compose.status()["users"][0]["cloud_id"])


def death(container: Container, hostname: str, pid: int) -> str:
    process = {"worker": f"fetch@{hostname}", "dispatcher": f"dispatcher@{hostname}"}.get(
        container.service, container.service
    )
    agent = f"eagle-logger/{version('eagle-logger')} {process}/{pid}"
    return json.dumps({"wall": time.time(), "name": process, "pid": pid, "agent": agent}) + "\n"
