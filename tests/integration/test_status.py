"""`eagle-logger status` and `eagle-logger doctor` on a real Redis and a real directory."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.breaker import Breaker, Phase
from eagle_logger.core.cadence import Grid
from eagle_logger.core.hours import iso
from eagle_logger.core.users import UserState
from eagle_logger.errors import ArchiveUnavailable
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis_store import RedisUserStore
from eagle_logger.users.store import Report
from tests.support.log_lines import CLOUD_ID, HOUR, demands
from tests.support.rotating import NOW, Disk, Watched
from tests.support.users import new_user

HOSTILE = "refused: [/bold] \x1b[2J\nffffff\tdue"
COMMAND = [sys.executable, "-c", "import sys; from eagle_logger.cli.main import run; sys.argv[0] = 'eagle-logger'; run()"]


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
    """One that waits its turn, one that is being fetched, and one that is parked for what its gateway said."""
    store = RedisUserStore(redis_url, cipher=Cipher([new_key()]))
    await store.put([new_user(cloud_id) for cloud_id in ("00ce69", "00ce70", "00ce71")])
    await store.request(["00ce70", "00ce71"])
    [claim] = await store.claim(["00ce71"], "worker")
    state = UserState(failures=3, last_error=HOSTILE, parked=HOSTILE, total_events_logged=12, last_timestamp=1_773_165_241)
    await store.report([Report("00ce71", claim.token, state, Grid(6.0, 0.0))], {})
    await store.close()


def piped(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, env=environment, timeout=60)


def on_a_terminal(environment: dict[str, str], *words: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
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
        ("00ce69", "ok"),
        ("00ce70", "being fetched"),
        ("00ce71", "parked: refused: [/bold] \ufffd[2J\ufffdffffff\ufffddue"),
    ]
    assert rows[2][1] == "2026-03-10T17:54:01Z"
    assert "# users: 3, 1 waiting their turn" in done.stdout
    assert ", 1 being fetched, 1 parked\n" in done.stdout
    assert "# parked, and not asked any more: 1 (`eagle-logger users add` corrects a password;" in done.stdout
    assert "# refused" not in done.stdout


async def test_refused_users_are_told_with_what_to_do(environment: dict[str, str], redis_url: str) -> None:
    store = RedisUserStore(redis_url, cipher=Cipher([new_key()]))
    await store.put([new_user("00ce69")])
    await store.request(["00ce69"])
    [claim] = await store.claim(["00ce69"], "worker")
    state = UserState(failures=4, last_error="refused: 401; these credentials have worked")
    await store.report([Report("00ce69", claim.token, state, Grid(6.0, 0.0), 900.0)], {})
    await store.close()
    shown = piped(environment, "status").stdout
    assert "\t4 failures: refused: 401; these credentials have worked\n" in shown
    assert "# refused by the relay, and asked again within the hour: 1 (`eagle-logger users wake --all`" in shown
    assert "# parked" not in shown
    assert json.loads(piped(environment, "status", "--json").stdout)["totals"]["refused"] == 1


@pytest.mark.usefixtures("users")
def test_as_json_all_of_it(environment: dict[str, str]) -> None:
    found = json.loads(piped(environment, "status", "--json").stdout)
    assert found["totals"]["users"] == 3
    assert [user["why_not"] for user in found["users"]] == [None, None, HOSTILE]
    assert {"dispatch", "adhoc", "fetch.0"} <= set(found["queues"])


@pytest.mark.usefixtures("users")
def test_on_a_terminal_a_table_that_no_gateway_can_steer(environment: dict[str, str]) -> None:
    code, seen = on_a_terminal(environment, "status")
    assert code == 0
    assert "[/bold] \ufffd[2J\ufffdffffff\ufffddue" in seen
    assert "\x1b[2J" not in seen


def test_watching_in_a_pipe_ends_quietly_on_ctrl_c(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "status", "--watch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["totals"]["users"] == 0
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")


def test_doctor_has_a_line_for_each_finding_and_says_what_to_do(environment: dict[str, str]) -> None:
    done = piped(environment, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {4}
    findings = {row[1]: row for row in rows}
    assert [name for name, row in findings.items() if row[0] == "ok"] == [
        "redis",
        "broker",
        "disk",
        "node",
        "archive",
        "breaker",
        "clock",
        "programs",
    ]
    assert "maxmemory-policy noeviction" in findings["redis durability"][2]
    assert "EAGLE_SECRET_KEYS" in findings["key"][2]
    assert "EAGLE_RELAY_URL" in findings["relay"][3]
    assert all(row[3] for row in rows if row[0] == "WRONG")


async def test_a_relay_that_is_away_shows_in_both(environment: dict[str, str], redis_url: str) -> None:
    store = RedisUserStore(redis_url, cipher=None)
    await store.set_breaker(Breaker(Phase.OPEN, 1.0))
    await store.close()
    assert "# relay: away: most visits fail" in piped(environment, "status").stdout
    assert "WRONG\tbreaker\topen: most visits fail" in piped(environment, "doctor").stdout


def test_doctor_without_redis(environment: dict[str, str]) -> None:
    found = json.loads(piped(environment | {"EAGLE_REDIS_URL": "redis://127.0.0.1:1/0"}, "doctor", "--json").stdout)
    wrong = {finding["name"]: finding for finding in found if not finding["well"]}
    assert set(wrong) == {"redis", "redis durability", "broker", "key", "relay", "breaker", "clock"}
    assert all(finding["advice"] for finding in wrong.values())


def test_doctor_on_a_terminal(environment: dict[str, str]) -> None:
    code, seen = on_a_terminal(environment, "doctor")
    assert code == 1
    assert "what to do" in seen
    assert "WRONG" in seen


def test_status_names_the_hours_that_are_stuck_and_what_to_do(users: None, environment: dict[str, str], tmp_path: Path) -> None:
    disk = Disk(tmp_path / "logs")
    disk.append(demands([1]))
    disk.rotate(Watched(MemoryArchive(), before=refuse_the_user))
    plain = piped(environment, "status").stdout
    assert "# hours that are stuck: 1;" in plain
    assert "docs/how-to/free-a-stuck-hour.md" in plain
    assert f"#   {CLOUD_ID} {HOUR}: since {iso(NOW)}, tries: 1: answered InvalidObjectState" in plain
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
