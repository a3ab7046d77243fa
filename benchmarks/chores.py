"""Work that is done once or now and then: to import users, show them, lease them, and rotate."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis

from benchmarks import proc
from benchmarks.dispatching import state_of_months
from benchmarks.figures import chore
from benchmarks.rotating import write_backlog
from benchmarks.stage import (
    BUCKET,
    EAGLE,
    Failed,
    Processes,
    Redis,
    Stage,
    run,
    start_redis,
    start_s3,
)
from eagle_logger import settings as settings_module
from eagle_logger import wiring
from eagle_logger.users.cipher import new_key
from eagle_logger.users.redis.encoding import encode_state
from eagle_logger.users.store import Grid, Report

_LEASED_AT_ONCE = 1600
"""A hundred users for each of 16 shards."""
_USERS_A_MESSAGE = 100
_STRIDE = 0x9E3779
"""Odd, so that its multiples meet every cloud id once, and neighbours are far apart."""
_ALL_DUE_WITHIN_S = 7.0
"""The store spreads a large batch over six seconds."""


def registered_users(stage: Stage, count: int) -> list[dict[str, Any]]:
    """`users import`, `status --json`, and the dispatcher's calls of Redis with this many users:
    once with cloud ids from their whole range, and once with ids in a row, as a batch of gateways
    from one factory has."""
    return _registered(stage, count, clustered=False) + _registered(stage, count, clustered=True)


def _registered(stage: Stage, count: int, *, clustered: bool) -> list[dict[str, Any]]:
    with stage.processes("registered") as processes:
        server = start_redis(processes)
        settings = {
            "EAGLE_DATA_DIR": str(processes.directory),
            "EAGLE_REDIS_URL": server.url(),
            "EAGLE_SECRET_KEYS": new_key(),
        }
        people = processes.directory / "people.jsonl"
        write_people(people, count, clustered=clustered)
        what = f"{count}{' in a row' if clustered else ''}"
        empty = server.info()["used_memory"]
        imported = _timed(
            f"users import, {what}",
            [EAGLE, "users", "import", str(people)],
            settings,
            server,
            count,
        )
        imported["note"] += (
            f", {(server.info()['used_memory'] - empty) / count:.0f} B a user in Redis"
        )
        _give_history(server, people)
        imported["note"] += (
            f", {(server.info()['used_memory'] - empty) / count:.0f} B once it has been fetched"
        )
        shown = _timed(
            f"status --json, {what}", [EAGLE, "status", "--json"], settings, server, count
        )
        time.sleep(_ALL_DUE_WITHIN_S)
        return [imported, shown, *_dispatch(settings, server, count, what)]


def _give_history(server: Redis, people: Path) -> None:
    """Give every user the state of some months."""
    state = encode_state(state_of_months())
    with redis.Redis.from_url(server.url()) as client, people.open() as lines:
        while some := [json.loads(line)["cloud_id"] for line in islice(lines, 1000)]:
            client.hset("eagle:states", mapping=dict.fromkeys(some, state))


def write_people(path: Path, count: int, *, clustered: bool) -> None:
    """Write made-up accounts as JSON lines."""
    with path.open("w") as lines:
        for number in range(count):
            cloud_id = number if clustered else number * _STRIDE % 2**24
            account = {
                "cloud_id": f"{cloud_id:06x}",
                "user_email": f"home-{number}@example.org",
                "user_pw": f"word {number}",
            }
            lines.write(json.dumps(account) + "\n")


def rotation(stage: Stage, user_hours: int) -> list[dict[str, Any]]:
    """Rotate a backlog of one complete hour into a strict stand-in for S3, in one process and in
    one for each core."""
    with _memory() as objects, stage.processes("rotation") as processes:
        settings = start_s3(processes, Path(objects))
        return [
            _rotated(processes, user_hours, count, settings)
            for count in sorted({1, os.cpu_count() or 1})
        ]


def _memory() -> TemporaryDirectory[str]:
    """A directory for the stand-in's objects, in memory if possible: a real store has other disks
    than the log volume."""
    return TemporaryDirectory(
        prefix="eagle-bench-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    )


def _rotated(
    processes: Processes, user_hours: int, rotators: int, settings: dict[str, str]
) -> dict[str, Any]:
    backlog = processes.directory / f"backlog-{rotators}"
    write_backlog(backlog, user_hours)
    s3 = processes.ids()["s3"]
    s3_cpu_before = proc.cpu_seconds(s3)
    _, _, printed = run(
        [sys.executable, "-m", "benchmarks.rotating", str(rotators)],
        {
            **settings,
            "EAGLE_DATA_DIR": str(backlog),
            "EAGLE_ARCHIVE_URL": f"s3://{BUCKET}/bench-{rotators}",
        },
    )
    answer = json.loads(printed)
    name = f"rotation of {user_hours} user-hours, {rotators} process{'es' * (rotators > 1)}"
    s3_cpu = proc.cpu_seconds(s3) - s3_cpu_before
    note = f"peak {answer['peak_rss'] / 1e6:.0f} MB a process, S3 stand-in {s3_cpu:.1f} CPU s"
    return chore(name, answer["seconds"], answer["cpu"], answer["count"], note)


def _timed(
    name: str, command: list[str], settings: dict[str, str], server: Redis, count: int
) -> dict[str, Any]:
    before = proc.cpu_seconds(server.pid)
    with redis.Redis.from_url(server.url()) as client:
        client.slowlog_reset()
        seconds, cpu, _ = run(command, settings)
        longest = max((one["duration"] / 1000 for one in client.slowlog_get(128)), default=0.0)
    held_up = f"held up for {longest:.0f} ms at most" if longest else "never held up for 10 ms"
    return chore(
        name,
        seconds,
        cpu,
        count,
        f"Redis {proc.cpu_seconds(server.pid) - before:.2f} CPU s, {held_up}",
    )


def _dispatch(
    settings: dict[str, str], server: Redis, count: int, what: str
) -> list[dict[str, Any]]:
    """The calls of Redis for a visit: the dispatcher leases the user, then a worker claims, begins
    and reports."""
    return asyncio.run(_visit_all(settings, server, count, what))


async def _visit_all(
    settings: dict[str, str], server: Redis, count: int, what: str
) -> list[dict[str, Any]]:
    values = {name.removeprefix("EAGLE_").lower(): value for name, value in settings.items()}
    store = wiring.user_store(
        settings_module.load(Path(values.pop("data_dir")), **values, lease="600"), passwords=False
    )
    leased: list[str] = []
    state = state_of_months()

    async def lease() -> None:
        while ids := await store.schedule.lease(_LEASED_AT_ONCE):
            leased.extend(ids)

    async def visit() -> None:
        for start in range(0, len(leased), _USERS_A_MESSAGE):
            claims = await store.schedule.claim(leased[start : start + _USERS_A_MESSAGE], "bench")
            await store.schedule.begin(claims)
            reports = [Report(one.cloud_id, one.token, state, Grid(3600.0, 0.0)) for one in claims]
            await store.schedule.report(reports, {"fetches": len(reports)})

    try:
        found = [
            await _spent(server, f"lease, {what}", count, f"{_LEASED_AT_ONCE} a call", lease),
            await _spent(
                server,
                f"claim, begin and report, {what}",
                count,
                f"{_USERS_A_MESSAGE} a call",
                visit,
            ),
        ]
    finally:
        await store.close()
    if len(leased) != count:
        raise Failed(f"{len(leased)} users were leased, not {count}")
    return found


async def _spent(
    server: Redis, name: str, count: int, note: str, action: Callable[[], Awaitable[None]]
) -> dict[str, Any]:
    before, began, own = proc.cpu_seconds(server.pid), time.monotonic(), time.process_time()
    await action()
    seconds, cpu, used = (
        time.monotonic() - began,
        time.process_time() - own,
        proc.cpu_seconds(server.pid) - before,
    )
    return chore(
        name,
        seconds,
        cpu,
        count,
        f"{note}, Redis {used:.2f} CPU s: {used / count * 1e6:.0f} µs a user",
    )
