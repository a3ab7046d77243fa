"""`eagle-logger status` and `eagle-logger doctor` on a real Redis and a real directory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.clock import Clock
from eagle_logger.core.circuit_breaker import Breaker, Phase
from eagle_logger.core.hours import iso
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.logs.quarantine import keep_aside
from eagle_logger.logs.reply_samples import ReplySamples
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Report
from tests.integration.cli.commands import COMMAND
from tests.support.log_lines import CLOUD_ID, HOUR, demands
from tests.support.pages import Page, differences
from tests.support.programs import environment_with, run_to_end
from tests.support.rotating import NOW, Disk, Watched
from tests.support.users import new_user


def read_just_now(**differences: Any) -> UserState:
    """A new state in each test, because the silence of a home counts from its last reading."""
    now = time.time()
    return UserState(1, last_timestamp=int(now), last_arrival=now)._replace(**differences)


HOSTILE = "refused: [/bold] \x1b[2J\nffffff\tdue"


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    return environment_with(
        EAGLE_REDIS_URL=redis_url,
        EAGLE_DATA_DIR=str(tmp_path),
        EAGLE_RELAY_URL="http://127.0.0.1:1/",
        COLUMNS="200",
        TERM="xterm",
    )


@pytest.fixture
async def users(redis_url: str, environment: dict[str, str]) -> None:
    """One user who waits for its turn, one who is being fetched, and one who is parked. The reason
    holds what its gateway sent. The clock stands still, so that no turn is late on a slow machine.
    """
    clock = Clock(time.time(), 1e-9)
    environment["EAGLE_TEST_CLOCK"] = str(clock)
    store = redis_store(redis_url, cipher=Cipher([new_key()]), clock=clock, lease=3600)
    await store.users.put([new_user(cloud_id) for cloud_id in ("00ce69", "00ce70", "00ce71")])
    await store.schedule.request(["00ce70", "00ce71"])
    [claim] = await store.schedule.claim(["00ce71"], "worker")
    state = UserState(
        failures=3,
        last_error=HOSTILE,
        parked=HOSTILE,
        total_events_logged=12,
        last_timestamp=1_773_165_241,
    )
    await store.schedule.report([Report("00ce71", claim.token, state, Grid(6.0, 0.0))], {})
    await store.close()


def piped(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return run_to_end([*COMMAND, *words], env=environment)


def on_a_terminal(environment: dict[str, str], *words: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # the end of a terminal is an error
            while more := os.read(ours, 65536):
                output += more
        os.close(ours)
        return process.wait(60), output.decode()


@pytest.mark.usefixtures("users")
def test_status_prints_a_line_for_each_user_into_a_pipe(environment: dict[str, str]) -> None:
    done = piped(environment, "status")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("#")]
    assert {len(row) for row in rows} == {8}
    assert [(row[0], row[6]) for row in rows] == [
        ("00ce71", "parked: refused: [/bold] \ufffd[2J\ufffdffffff\ufffddue"),
        ("00ce69", "not asked yet"),
        ("00ce70", "waiting for a worker or being fetched"),
    ]
    assert rows[0][1] == "2026-03-10T17:54:01Z"
    assert "# users: 3, 1 waiting their turn" in done.stdout
    assert ", 1 waiting for a worker or being fetched, 1 parked\n" in done.stdout
    assert (
        "# parked, and not asked any more: 1 (`eagle-logger users add` corrects a password;"
        in done.stdout
    )
    assert "# refused" not in done.stdout


async def test_status_says_what_to_do_about_refused_users(
    environment: dict[str, str], redis_url: str
) -> None:
    store = redis_store(redis_url, cipher=Cipher([new_key()]))
    await store.users.put([new_user("00ce69")])
    await store.schedule.request(["00ce69"])
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    state = UserState(failures=4, last_error="refused: 401; these credentials have worked")
    await store.schedule.report([Report("00ce69", claim.token, state, Grid(6.0, 0.0), 900.0)], {})
    await store.close()
    output = piped(environment, "status").stdout
    assert "\t4 failures: refused: 401; these credentials have worked\t\n" in output
    assert "# refused by the relay, and asked again within the hour: 1 (`eagle-logger" in output
    assert "# parked" not in output
    assert json.loads(piped(environment, "status", "--json").stdout)["totals"]["refused"] == 1


@pytest.mark.usefixtures("users")
def test_status_prints_one_json_object(environment: dict[str, str]) -> None:
    fleet = json.loads(piped(environment, "status", "--json").stdout)
    assert fleet["totals"]["users"] == 3
    assert [user["why_not"] for user in fleet["users"]] == [HOSTILE, None, None]
    assert {"dispatch", "adhoc", "fetch.0"} <= set(fleet["queues"])


@pytest.mark.usefixtures("users")
def test_no_gateway_can_steer_a_terminal_through_status(environment: dict[str, str]) -> None:
    code, output = on_a_terminal(environment, "status")
    assert code == 0
    assert "[/bold] \ufffd[2J\ufffdffffff\ufffddue" in output
    assert "\x1b[2J" not in output


def test_watching_in_a_pipe_ends_quietly_on_ctrl_c(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "status", "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["totals"]["users"] == 0
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def test_doctor_prints_a_line_for_each_check_and_says_what_to_do(
    environment: dict[str, str],
) -> None:
    done = piped(environment, "doctor")
    assert (done.returncode, done.stderr) == (2, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {4}
    findings = {row[1]: row for row in rows}
    assert [name for name, row in findings.items() if row[0] == "ok"] == [
        "redis",
        "broker",
        "disk",
        "node",
        "programs",
        "archive",
        "clock",
        "quarantine",
        "samples",
        "workers",
        "breaker",
        "waiting",
        "hours",
        "tables",
        "clocks",
    ]
    assert "maxmemory-policy noeviction" in findings["redis durability"][2]
    assert "EAGLE_SECRET_KEYS" in findings["key"][2]
    assert "EAGLE_RELAY_URL" in findings["relay"][3]
    assert "nothing was dispatched within the hour" in findings["dispatch"][2]
    assert findings["users"][:3] == ["LOOK", "users", "there are none"]
    assert all(row[3] for row in rows if row[0] != "ok")


async def test_status_and_doctor_show_that_the_relay_is_away(
    environment: dict[str, str], redis_url: str
) -> None:
    store = redis_store(redis_url, cipher=None)
    await store.fleet.set_breaker(Breaker(Phase.OPEN, 1.0))
    await store.close()
    assert "# relay: away: most visits fail" in piped(environment, "status").stdout
    assert "WRONG\tbreaker\topen: most visits fail" in piped(environment, "doctor").stdout


def test_doctor_ends_its_checks_without_redis(environment: dict[str, str]) -> None:
    without_redis = environment | {"EAGLE_REDIS_URL": "redis://127.0.0.1:1/0"}
    findings = json.loads(piped(without_redis, "doctor", "--json").stdout)
    wrong = {finding["name"]: finding for finding in findings if not finding["well"]}
    assert set(wrong) == {"redis", "redis durability", "broker", "key", "relay", "fleet", "clock"}
    assert all(finding["advice"] for finding in wrong.values())


def test_doctor_prints_a_table_on_a_terminal(environment: dict[str, str]) -> None:
    code, output = on_a_terminal(environment, "doctor")
    assert code == 2
    assert "what to do" in output
    assert "WRONG" in output


def test_status_names_the_hours_that_are_stuck_and_what_to_do(
    users: None, environment: dict[str, str], tmp_path: Path
) -> None:
    disk = Disk(tmp_path / "logs")
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_user))
    output = piped(environment, "status").stdout
    with Page("docs/how-to/free-a-stuck-hour.md", "text") as page:
        on_the_page = re.sub(r"(?<=, tries: \d: ).*", "…", page.next())
        assert differences(["…", *on_the_page.splitlines()], output) == []
    assert f"#   {CLOUD_ID} {HOUR}: since {iso(NOW)}, tries: 1: answered InvalidObject" in output
    assert json.loads(piped(environment, "status", "--json").stdout)["stuck_hours"] == [
        {
            "cloud_id": CLOUD_ID,
            "hour": HOUR.name,
            "since": iso(NOW),
            "tried_at": iso(NOW),
            "tries": 1,
            "reason": "answered InvalidObjectState\x1b",
        }
    ]


def refuse_the_user(_what: str, key: str) -> None:
    if CLOUD_ID in key:
        raise ArchiveUnavailable("answered InvalidObjectState\x1b")


class HealthySystem:
    """A system whose processes report, with a relay that answers."""

    def __init__(self, environment: dict[str, str], redis_url: str, relay: str) -> None:
        self._redis_url = redis_url
        self.environment = environment | {
            "EAGLE_RELAY_URL": relay,
            "EAGLE_SECRET_KEYS": new_key(),
            "EAGLE_DATA_DIR": environment["EAGLE_DATA_DIR"],
        }
        with redis.Redis.from_url(redis_url) as client:
            client.config_set("appendonly", "yes")

    async def report_progress(self, *silent: str) -> None:
        store = redis_store(self._redis_url, cipher=None)
        for name in ("beat", "dispatch", "dispatcher", "fetch-1", "rotator"):
            if name not in silent:
                await store.fleet.note_progress(name, {})
        await store.close()

    async def report_visits(self, state: UserState) -> None:
        """Visits of three users just now; the first of them ends with `state`."""
        cipher = Cipher([self.environment["EAGLE_SECRET_KEYS"]])
        store = redis_store(self._redis_url, cipher=cipher)
        await store.users.put([new_user(cloud_id) for cloud_id in ("00ce69", "00ce70", "00ce71")])
        await store.schedule.request(["00ce69", "00ce70", "00ce71"])
        for claim in await store.schedule.claim(["00ce69", "00ce70", "00ce71"], "worker"):
            new_state = state if claim.cloud_id == "00ce69" else read_just_now()
            report = Report(claim.cloud_id, claim.token, new_state, Grid(60.0, 0.0))
            await store.schedule.report([report], {})
        await store.close()

    def doctor(self) -> tuple[int, dict[str, list[str]]]:
        done = piped(self.environment, "doctor")
        assert done.stderr == ""
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return done.returncode, {row[1]: row for row in rows if row[0] != "ok"}


@pytest.fixture
def healthy(environment: dict[str, str], redis_url: str) -> Iterator[HealthySystem]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as relay:
        serving = threading.Thread(target=relay.serve_forever, daemon=True)
        serving.start()
        yield HealthySystem(environment, redis_url, f"http://127.0.0.1:{relay.server_port}/")
        relay.shutdown()
        with redis.Redis.from_url(redis_url) as client:
            client.config_set("appendonly", "no")


EXIT_CODES = [
    ({}, (), 0, None),
    ({"failures": 3, "last_error": "refused: 401", "parked": "refused: 401"}, (), 1, "users"),
    ({"failures": 1, "last_error": "timed_out: no answer"}, (), 1, "users"),
    ({"last_timestamp": 1, "last_arrival": 1.0}, (), 1, "users"),
    ({}, ("dispatch",), 2, "dispatch"),
    ({}, ("fetch-1",), 2, "workers"),
]
IDS = ["well", "parked", "failing", "silent", "beat", "workers"]


@pytest.mark.parametrize(("differences", "silent", "code", "name"), EXIT_CODES, ids=IDS)
async def test_doctor_exits_with_the_worst_grade(
    healthy: HealthySystem,
    differences: dict[str, Any],
    silent: tuple[str, ...],
    code: int,
    name: str | None,
) -> None:
    await healthy.report_progress(*silent)
    await healthy.report_visits(read_just_now(**differences))
    exit_code, findings = await asyncio.to_thread(healthy.doctor)
    assert (exit_code, list(findings)) == (code, [] if name is None else [name]), findings


async def test_doctor_shows_quarantined_files_and_unreadable_replies(
    healthy: HealthySystem, tmp_path: Path
) -> None:
    await healthy.report_progress()
    await healthy.report_visits(read_just_now())
    keep_aside(tmp_path / "logs", "00ce69-torn", b"{", "cut off by a power failure")
    ReplySamples(tmp_path / "samples").keep_sample("00ce70", time.time(), "garbage: ?")
    exit_code, findings = await asyncio.to_thread(healthy.doctor)
    assert exit_code == 1
    assert set(findings) == {"quarantine", "samples"}
    assert "1 files; the newest: 00ce69-torn" in findings["quarantine"][2]
    assert "cut off by a power failure" in findings["quarantine"][2]
    assert findings["samples"][2] == "replies of 1 homes could not be read today: 00ce70"
