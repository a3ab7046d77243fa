"""With a damaged entry in Redis, every command still works for all other users."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
import structlog
from click.testing import CliRunner, Result

from eagle_logger.cli.main import main
from eagle_logger.cli.terminal_text import keep_logs_apart
from eagle_logger.core.kinds import Kind
from eagle_logger.core.schedule import Grid, intervals_of, visit_period
from eagle_logger.errors import EagleError, NoSecretKey
from eagle_logger.inspection.doctor import check_fleet
from eagle_logger.settings import load
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis.encoding import encode_state
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Report
from tests.support.users import lived_in_state, new_user
from workers.server.models import UserView

BEFORE, HOME, BEHIND = "00ce68", "00ce69", "00ce6a"
ALL_IDS = [BEFORE, HOME, BEHIND]
FLEET = dict.fromkeys(Kind, 6.0)
RECORDS, STATES, TROUBLES, TURNS = "eagle:users:00", "eagle:states", "eagle:troubles", "eagle:turns"
Damage = Callable[["redis.Redis"], object]


def field(key: str, name: str | bytes, value: bytes | str) -> Damage:
    return lambda server: server.hset(key, name, value)


def member(key: str, name: bytes, score: float) -> Damage:
    return lambda server: server.zadd(key, {name: score})


def interval(value: object) -> Damage:
    return lambda server: server.hset(
        RECORDS,
        HOME,
        json.dumps(
            {**json.loads(server.hget(RECORDS, HOME) or b""), "intervals": {"demand": value}}
        ),
    )


LOCKED: dict[str, Damage] = {
    "a record that is no JSON": field(RECORDS, HOME, "{"),
    "a record that is not UTF-8": field(RECORDS, HOME, b"\xff\xfe"),
    "a record that is a list": field(RECORDS, HOME, "[]"),
    "a record without a password": field(RECORDS, HOME, '{"mac_id":null}'),
    "a record with a number for a password": field(RECORDS, HOME, '{"sealed":7}'),
    "a record whose intervals are a list": field(RECORDS, HOME, '{"sealed":"x","intervals":[1]}'),
    "a record nested deeply": field(RECORDS, HOME, "[" * 100_000),
    "a record with an empty password": field(RECORDS, HOME, '{"sealed":""}'),
    "a record that is gone": lambda server: server.hdel(RECORDS, HOME),
    "an interval of nothing": interval(0),
    "an interval below nothing": interval(-6),
    "an interval that is no number": interval(float("nan")),
    "an interval without end": interval(float("inf")),
    "an interval in words": interval("often"),
}
"""Damages after which this user's password cannot be read."""

OTHERS: dict[str, Damage] = {
    "a state that is damaged": field(STATES, HOME, b"\x01\xff\xff"),
    "a state with moments beyond time": field(
        STATES,
        HOME,
        encode_state(lived_in_state()._replace(last_timestamp=10**17, last_arrival=1e300)),
    ),
    "a trouble that is damaged": field(TROUBLES, HOME, b"\xff{"),
    "a trouble that is a number": field(TROUBLES, HOME, b"7"),
    "a trouble with failures below nothing": field(TROUBLES, HOME, b'[-9,"x",null]'),
    "a trouble with failures beyond counting": field(
        TROUBLES, HOME, b"[1" + b"0" * 400 + b',"x",null]'
    ),
    "a turn that is damaged": field(TURNS, HOME, b"\x02nonsense"),
    "a turn that is empty": field(TURNS, HOME, b""),
    "a due member that is no id": member("eagle:due", b"no id", 1.0),
    "a due member that is no text": member("eagle:due", b"\xff\xfe", 1.0),
    "a leased member that is no text": member("eagle:leased", b"\xff\xfe", 1.0),
    "a user due at no time": member("eagle:due", HOME.encode(), float("inf")),
    "a user due before time": member("eagle:due", HOME.encode(), float("-inf")),
    "a record under a name that is no id": field(RECORDS, "00zz", '{"sealed":"x"}'),
    "a record under a name that is no text": field(RECORDS, b"00\xff\xfe", '{"sealed":"x"}'),
    "a turn under a name that is no text": lambda server: (
        server.hset(TURNS, b"\xff", b"\x00" * 10),
        server.zadd("eagle:due", {b"\xff": 1.0}),
    ),
    "a note that is no JSON": field("eagle:progress", "fetch-1", "{"),
    "a note at no number": field("eagle:progress", "fetch-1", '{"at": NaN, "clock_ahead": 0}'),
    "a note whose clock is a word": field(
        "eagle:progress", "fetch-1", '{"at": 1e10, "clock_ahead": "fast"}'
    ),
    "a note of now whose clock is a word": lambda server: server.hset(
        "eagle:progress", "fetch-1", json.dumps({"at": server.time()[0] - 1, "clock_ahead": "fast"})
    ),
    "a process that is no text": field("eagle:progress", b"\xff", '{"at": 1}'),
    "a breaker that is nothing": field("eagle:breaker", "phase", "ajar"),
    "a breaker without samples": field("eagle:breaker", "samples", "["),
    "a counter that is no number": field("eagle:tally", "fetches", "many"),
    "a counter that is no text": field("eagle:tally", b"\xff", "1"),
    "a node that is no text": lambda server: server.zadd(
        "eagle:nodes", {b"\xff": server.time()[0]}
    ),
    "an unproven one that is no text": lambda server: server.sadd("eagle:unproven", b"\xff"),
    "a parking that is no text": lambda server: server.zadd(
        "eagle:parkings", {b"\xff": server.time()[0]}
    ),
    "a last token that is none": lambda server: server.set("eagle:tokens", "many"),
    "a suspect that is no text": lambda server: server.sadd("eagle:suspects", b"\xff"),
    "a suspect alone that is no text": lambda server: server.set("eagle:alone", b"\xff"),
}
DAMAGES = {**LOCKED, **OTHERS}


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def keys(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made = [new_key(), new_key()]
    monkeypatch.setenv("EAGLE_REDIS_URL", redis_url)
    monkeypatch.setenv("EAGLE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EAGLE_RELAY_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("EAGLE_SECRET_KEYS", ",".join(made))
    asyncio.run(_filled(redis_url, made[1]))
    return made


async def _filled(url: str, key: str) -> None:
    store = redis_store(url, cipher=Cipher([key]))
    await store.users.put([new_user(cloud_id) for cloud_id in ALL_IDS])
    await store.close()


@pytest.fixture(autouse=True)
def logs_apart() -> Iterator[None]:
    keep_logs_apart()
    yield
    structlog.reset_defaults()


def run(*words: str, text: str | None = None) -> Result:
    """Run the command. Raises every exception that it does not report itself."""
    done = CliRunner().invoke(main, words, input=text)
    if done.exception is not None and not isinstance(done.exception, SystemExit | EagleError):
        raise done.exception
    return done


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_every_reading_command_shows_all_other_users(server: redis.Redis, damage: Damage) -> None:
    damage(server)
    listed = run("users", "list").stdout
    assert [row.split("\t")[0] for row in listed.splitlines() if row[:6] in {BEFORE, BEHIND}] == [
        BEFORE,
        BEHIND,
    ]
    assert HOME in run("users", "show", HOME).stdout or HOME not in listed
    shown = run("status")
    assert {row.split("\t")[0] for row in shown.stdout.splitlines()} >= {BEFORE, BEHIND}
    assert {user["cloud_id"] for user in json.loads(run("status", "--json").stdout)["users"]} >= {
        BEFORE,
        BEHIND,
    }
    run("read", HOME)
    assert "dispatch" in {finding.name for finding in check_fleet(load(None))}


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_an_export_has_all_other_users_and_can_be_imported(
    server: redis.Redis, damage: Damage
) -> None:
    damage(server)
    exported = run("users", "export")
    kept = [json.loads(line)["cloud_id"] for line in exported.stdout.splitlines()]
    locked = damage in LOCKED.values()
    assert kept == ([BEFORE, BEHIND] if locked else ALL_IDS)
    assert exported.exit_code == int("left out" in exported.stderr)
    if locked:
        assert "left out: 00ce69: " in exported.stderr or "left out: 1 users" in exported.stderr
    server.flushall()
    assert run("users", "import", "-", text=exported.stdout).exit_code == 0


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_all_other_users_are_fetched_and_resealed(
    server: redis.Redis, redis_url: str, tmp_path: Path, damage: Damage
) -> None:
    old, new = new_key(), new_key()
    await _filled(redis_url, old)
    damage(server)
    store = redis_store(redis_url, cipher=Cipher([new, old]), lease=0.3)
    server.zadd("eagle:due", {BEFORE: 1.0, BEHIND: 1.0})
    leased = await store.schedule.lease(10)
    assert {BEFORE, BEHIND} <= set(leased)
    claimed = await store.schedule.claim(leased, "worker")
    assert {BEFORE, BEHIND} <= {claim.cloud_id for claim in claimed}
    periods = {claim.cloud_id: visit_period(intervals_of(claim.user, FLEET)) for claim in claimed}
    reports = [
        Report(claim.cloud_id, claim.token, claim.state, Grid(periods[claim.cloud_id], 0.0))
        for claim in claimed
    ]
    reported = await store.schedule.report(reports, {"fetches": 3})
    assert not reported.lost & {BEFORE, BEHIND}
    assert await store.schedule.wake([HOME]) is not None
    assert await store.fleet.totals()
    shown = [UserView.of(stored).cloud_id async for batch in store.users.all() for stored in batch]
    assert {BEFORE, BEHIND} <= set(shown), "the HTTP API shows them"
    assert isinstance(await store.fleet.nodes(), list)
    await store.fleet.note_progress("fetch-2", {})
    with suppress(
        NoSecretKey
    ):  # which says whose password cannot be had, after all others were done
        await store.users.reseal()
    await store.close()
    alone = redis_store(redis_url, cipher=Cipher([new]))
    for cloud_id in (BEFORE, BEHIND):
        stored = await alone.users.get(cloud_id)
        assert stored
        assert Cipher([new]).open(cloud_id, stored.sealed)
    await alone.close()


@pytest.mark.usefixtures("keys")
def test_log_lines_do_not_mix_with_json_output(server: redis.Redis) -> None:
    server.hset("eagle:breaker", "phase", "ajar")
    server.hset(RECORDS, "00zz", "{}")
    command = [
        sys.executable,
        "-c",
        "from eagle_logger.cli.main import run; run()",
        "status",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["users"]) == 3
    assert "breaker_unreadable" in done.stderr
    assert "no_cloud_id" in done.stderr
