"""`eagle-logger status` and `eagle-logger doctor` on a real Redis and a real directory."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from eagle_logger.archive.memory import MemoryArchive
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
from tests.support.log_lines import CLOUD_ID, HOUR, demands
from tests.support.pages import Page, differences
from tests.support.rotating import NOW, Disk, Watched
from tests.support.users import new_user


def read_just_now(**differences: Any) -> UserState:
    """Made anew in each test: the silence of a home counts from its last reading."""
    now = time.time()
    return UserState(1, last_timestamp=int(now), last_arrival=now)._replace(**differences)


HOSTILE = "refused: [/bold] \x1b[2J\nffffff\tdue"
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from eagle_logger.cli.main import run; sys.argv[0] = 'eagle-logger'; run()",
]


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EAGLE_")}
    return clean | {
        "EAGLE_REDIS_URL": redis_url,
        "EAGLE_DATA_DIR": str(tmp_path),
        "EAGLE_RELAY_URL": "http://127.0.0.1:1/",
        "COLUMNS": "200",
        "TERM": "xterm",
    }


@pytest.fixture
async def users(redis_url: str) -> None:
    """One that waits its turn, one that is being fetched, and one that is parked for what its
    gateway said."""
    store = redis_store(redis_url, cipher=Cipher([new_key()]))
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
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, env=environment, timeout=60
    )


def on_a_terminal(environment: dict[str, str], *words: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while more := os.read(ours, 65536):
                seen += more
        except OSError:
            pass  # what a terminal's reader sees at the end
        os.close(ours)
        return process.wait(60), seen.decode()


@pytest.mark.usefixtures("users")
def test_in_a_pipe_a_line_for_each_user(environment: dict[str, str]) -> None:
    done = piped(environment, "status")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("#")]
    assert {len(row) for row in rows} == {7}
    assert [(row[0], row[6]) for row in rows] == [
        ("00ce71", "parked: refused: [/bold] \ufffd[2J\ufffdffffff\ufffddue"),
        ("00ce69", "not asked yet"),
        ("00ce70", "being fetched"),
    ]
    assert rows[0][1] == "2026-03-10T17:54:01Z"
    assert "# users: 3, 1 waiting their turn" in done.stdout
    assert ", 1 being fetched, 1 parked\n" in done.stdout
    assert (
        "# parked, and not asked any more: 1 (`eagle-logger users add` corrects a password;"
        in done.stdout
    )
    assert "# refused" not in done.stdout


async def test_refused_users_are_told_with_what_to_do(
    environment: dict[str, str], redis_url: str
) -> None:
    store = redis_store(redis_url, cipher=Cipher([new_key()]))
    await store.users.put([new_user("00ce69")])
    await store.schedule.request(["00ce69"])
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    state = UserState(failures=4, last_error="refused: 401; these credentials have worked")
    await store.schedule.report([Report("00ce69", claim.token, state, Grid(6.0, 0.0), 900.0)], {})
    await store.close()
    shown = piped(environment, "status").stdout
    assert "\t4 failures: refused: 401; these credentials have worked\n" in shown
    assert (
        "# refused by the relay, and asked again within the hour: 1 (`eagle-logger users wake --all`"
        in shown
    )
    assert "# parked" not in shown
    assert json.loads(piped(environment, "status", "--json").stdout)["totals"]["refused"] == 1


@pytest.mark.usefixtures("users")
def test_as_json_all_of_it(environment: dict[str, str]) -> None:
    found = json.loads(piped(environment, "status", "--json").stdout)
    assert found["totals"]["users"] == 3
    assert [user["why_not"] for user in found["users"]] == [HOSTILE, None, None]
    assert {"dispatch", "adhoc", "fetch.0"} <= set(found["queues"])


@pytest.mark.usefixtures("users")
def test_on_a_terminal_a_table_that_no_gateway_can_steer(environment: dict[str, str]) -> None:
    code, seen = on_a_terminal(environment, "status")
    assert code == 0
    assert "[/bold] \ufffd[2J\ufffdffffff\ufffddue" in seen
    assert "\x1b[2J" not in seen


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
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")


def test_doctor_has_a_line_for_each_finding_and_says_what_to_do(
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
        "clocks",
    ]
    assert "maxmemory-policy noeviction" in findings["redis durability"][2]
    assert "EAGLE_SECRET_KEYS" in findings["key"][2]
    assert "EAGLE_RELAY_URL" in findings["relay"][3]
    assert "nothing was dispatched within the hour" in findings["dispatch"][2]
    assert findings["users"][:3] == ["LOOK", "users", "there are none"]
    assert all(row[3] for row in rows if row[0] != "ok")


async def test_a_relay_that_is_away_shows_in_both(
    environment: dict[str, str], redis_url: str
) -> None:
    store = redis_store(redis_url, cipher=None)
    await store.fleet.set_breaker(Breaker(Phase.OPEN, 1.0))
    await store.close()
    assert "# relay: away: most visits fail" in piped(environment, "status").stdout
    assert "WRONG\tbreaker\topen: most visits fail" in piped(environment, "doctor").stdout


def test_doctor_without_redis(environment: dict[str, str]) -> None:
    found = json.loads(
        piped(environment | {"EAGLE_REDIS_URL": "redis://127.0.0.1:1/0"}, "doctor", "--json").stdout
    )
    wrong = {finding["name"]: finding for finding in found if not finding["well"]}
    assert set(wrong) == {"redis", "redis durability", "broker", "key", "relay", "fleet", "clock"}
    assert all(finding["advice"] for finding in wrong.values())


def test_doctor_on_a_terminal(environment: dict[str, str]) -> None:
    code, seen = on_a_terminal(environment, "doctor")
    assert code == 2
    assert "what to do" in seen
    assert "WRONG" in seen


def test_status_names_the_hours_that_are_stuck_and_what_to_do(
    users: None, environment: dict[str, str], tmp_path: Path
) -> None:
    disk = Disk(tmp_path / "logs")
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_user))
    plain = piped(environment, "status").stdout
    with Page("docs/how-to/free-a-stuck-hour.md", "text") as page:
        shown = re.sub(r"(?<=, tries: \d: ).*", "…", page.next())
        assert differences(["…", *shown.splitlines()], plain) == []
    assert (
        f"#   {CLOUD_ID} {HOUR}: since {iso(NOW)}, tries: 1: answered InvalidObjectState" in plain
    )
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


class Healthy:
    """A system that reports as it should, with a relay that answers."""

    def __init__(self, environment: dict[str, str], redis_url: str, relay: str) -> None:
        self._redis_url = redis_url
        self.environment = environment | {
            "EAGLE_RELAY_URL": relay,
            "EAGLE_SECRET_KEYS": new_key(),
            "EAGLE_DATA_DIR": environment["EAGLE_DATA_DIR"],
        }
        with redis.Redis.from_url(redis_url) as client:
            client.config_set("appendonly", "yes")

    async def reports(self, *silent: str) -> None:
        store = redis_store(self._redis_url, cipher=None)
        for name in ("beat", "dispatch", "dispatcher", "fetch-1", "rotator"):
            if name not in silent:
                await store.fleet.note_progress(name, {})
        await store.close()

    async def visited(self, state: UserState) -> None:
        cipher = Cipher([self.environment["EAGLE_SECRET_KEYS"]])
        store = redis_store(self._redis_url, cipher=cipher)
        await store.users.put([new_user(cloud_id) for cloud_id in ("00ce69", "00ce70", "00ce71")])
        await store.schedule.request(["00ce69", "00ce70", "00ce71"])
        for claim in await store.schedule.claim(["00ce69", "00ce70", "00ce71"], "worker"):
            mine = state if claim.cloud_id == "00ce69" else read_just_now()
            await store.schedule.report(
                [Report(claim.cloud_id, claim.token, mine, Grid(60.0, 0.0))], {}
            )
        await store.close()

    def doctor(self) -> tuple[int, dict[str, list[str]]]:
        done = piped(self.environment, "doctor")
        assert done.stderr == ""
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return done.returncode, {row[1]: row for row in rows if row[0] != "ok"}


@pytest.fixture
def healthy(environment: dict[str, str], redis_url: str) -> Iterator[Healthy]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as relay:
        serving = threading.Thread(target=relay.serve_forever, daemon=True)
        serving.start()
        yield Healthy(environment, redis_url, f"http://127.0.0.1:{relay.server_port}/")
        relay.shutdown()
        with redis.Redis.from_url(redis_url) as client:
            client.config_set("appendonly", "no")


ENDINGS = [
    ({}, (), 0, None),
    ({"failures": 3, "last_error": "refused: 401", "parked": "refused: 401"}, (), 1, "users"),
    ({"failures": 1, "last_error": "timed_out: no answer"}, (), 1, "users"),
    ({"last_timestamp": 1, "last_arrival": 1.0}, (), 1, "users"),
    ({}, ("dispatch",), 2, "dispatch"),
    ({}, ("fetch-1",), 2, "workers"),
]


ENDED_BY = ["well", "parked", "failing", "silent", "beat", "workers"]


@pytest.mark.parametrize(("differences", "silent", "code", "name"), ENDINGS, ids=ENDED_BY)
async def test_doctor_ends_with_the_worst_of_what_it_found(
    healthy: Healthy,
    differences: dict[str, Any],
    silent: tuple[str, ...],
    code: int,
    name: str | None,
) -> None:
    await healthy.reports(*silent)
    await healthy.visited(read_just_now(**differences))
    ended, found = await asyncio.to_thread(healthy.doctor)
    assert (ended, list(found)) == (code, [] if name is None else [name]), found


async def test_doctor_shows_what_was_put_aside_and_what_could_not_be_read(
    healthy: Healthy, tmp_path: Path
) -> None:
    await healthy.reports()
    await healthy.visited(read_just_now())
    keep_aside(tmp_path / "logs", "00ce69-torn", b"{", "cut off by a power failure")
    ReplySamples(tmp_path / "samples").keep_sample("00ce70", time.time(), "garbage: ?")
    ended, found = await asyncio.to_thread(healthy.doctor)
    assert ended == 1
    assert set(found) == {"quarantine", "samples"}
    assert "1 files; the newest: 00ce69-torn" in found["quarantine"][2]
    assert "cut off by a power failure" in found["quarantine"][2]
    assert found["samples"][2] == "replies of 1 homes could not be read today: 00ce70"
