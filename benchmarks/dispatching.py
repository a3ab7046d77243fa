"""The dispatcher with very many users, and the whole system after a stop in which all users fell
due."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import redis

from benchmarks import proc
from benchmarks.ours import System
from benchmarks.stage import Failed, Relay, Stage
from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream
from eagle_logger.core.users import User, UserState
from eagle_logger.users.redis.encoding import encode_state, encode_user
from tests.support.set_membership import breaches

_HASHES = 256
_WRITES_100_000_WITHIN_S = 2.0
"""For due times."""
_STRIDE = 7919
"""A prime, so that its multiples meet every place once."""
_IDLE_TURN = struct.pack("<dH", 0.0, 0)
"""The turn of a user that no worker has (users/redis/scripts/common.lua)."""
_SEALED = "gAAAAAB" + "x" * 177
"""As long as an encrypted password; nothing here decrypts it."""


def dispatching(stage: Stage, registered: int, due_a_second: int, seconds: float) -> dict[str, Any]:
    """Measure the dispatcher's process, with beat and Redis beside it. Of the registered users a
    number falls due every second. The messages are thrown away as they come."""
    period = registered / due_a_second
    with stage.processes("dispatching") as processes:
        slow = {"EAGLE_DEMAND_INTERVAL": f"{period:g}", "EAGLE_LEASE": "3600"}
        system = System(processes, "http://127.0.0.1:1/", workers=0, **slow)
        empty = system.redis.info()["used_memory"]
        with (
            redis.Redis.from_url(system.redis.url()) as users,
            redis.Redis.from_url(system.settings.broker) as broker,
        ):
            _register(users, registered)
            size = (system.redis.info()["used_memory"] - empty) / registered
            system.start()
            drain = partial(_drain_until, broker, users, due_a_second)
            drain(_have_fall_due(users, registered, period) + 3.0)
            before = _counters(system)
            messages, seconds = drain(time.time() + min(seconds, period - 5.0))
            after = _counters(system)
        leased = after["leased"] - before["leased"]
        used = {name: (after["cpu"][name] - before["cpu"][name]) / seconds for name in after["cpu"]}
        overdue = system.ask(lambda store: store.fleet.totals()).overdue
        shares = ", ".join(f"{name} {share:.0%}" for name, share in used.items())
        return {
            "name": f"dispatch, {registered} registered, {due_a_second} due a second",
            "seconds": round(seconds, 3),
            "cpu": round(used["dispatcher"] * seconds, 3),
            "count": leased,
            "per_second": round(leased / seconds, 1),
            "note": f"of a core: {shares}; {messages / seconds:.0f} messages/s of "
            f"{leased / max(messages, 1):.0f} users; {overdue} overdue at the end; "
            f"{size:.0f} B a user in Redis",
        }


def _register(client: redis.Redis, count: int) -> None:
    """Write users that are due in a day, with the states of some months. This goes past the store,
    because it is quicker."""
    state, later = encode_state(state_of_months()), time.time() + 86400
    for some in _ids(count):
        pipeline = client.pipeline(transaction=False)
        pipeline.hset(
            f"eagle:users:{some[0][:2]}",
            mapping={one: encode_user(User(one), _SEALED) for one in some},
        )
        pipeline.hset("eagle:states", mapping=dict.fromkeys(some, state))
        pipeline.hset("eagle:turns", mapping=dict.fromkeys(some, _IDLE_TURN))
        pipeline.zadd("eagle:due", dict.fromkeys(some, later))
        pipeline.execute()


def _have_fall_due(client: redis.Redis, count: int, period: float) -> float:
    """Let the users fall due one after the other, evenly over the period. Returns when the first
    one does."""
    first, done = time.time() + _WRITES_100_000_WITHIN_S * max(1.0, count / 200_000), 0
    for some in _ids(count):
        # Neighbours are a large step apart, so that users of all shards are due at each moment.
        due = {
            one: first + period * ((done + at) * _STRIDE % count) / count
            for at, one in enumerate(some)
        }
        client.zadd("eagle:due", due)
        done += len(some)
    return first


def _ids(count: int) -> Iterator[list[str]]:
    """Cloud ids in lists, each list of one hash."""
    for digits in range(_HASHES):
        mine = [f"{digits:02x}{number:04x}" for number in range(len(range(digits, count, _HASHES)))]
        yield from (mine[start : start + 1000] for start in range(0, len(mine), 1000))


def state_of_months() -> UserState:
    """The state of a user that has been fetched for some months."""
    now = int(time.time())
    stream = Stream("0xd8d5b9000000abcd", "0x0013500100000001", Kind.DEMAND)
    recent = tuple(
        (now - 6 * number, f'"value":1.{731 + number},"unit":"kW"') for number in range(4)
    )
    return UserState(
        total_events_logged=1_234_567,
        first_timestamp=now - 9_000_000,
        last_timestamp=now,
        last_arrival=now + 0.25,
        asked=dict.fromkeys(Kind, now + 0.125),
        recent={stream: recent},
        recent_counts=(now // 600, 98, 100, 101, 99, 100, 100),
    )


def _drain_until(
    broker: redis.Redis, users: redis.Redis, due_a_second: int, moment: float
) -> tuple[int, float]:
    """Delete the fetching workers' messages every quarter of a second. Returns the number of
    messages and the seconds.

    The visits count as made. Otherwise the dispatcher would wait for the workers
    (`eagle_logger.core.overload`).
    """
    began, messages = time.monotonic(), 0
    while time.time() < moment:
        time.sleep(0.25)
        pipeline = broker.pipeline()
        pipeline.llen("fetch.0")
        pipeline.delete("fetch.0")
        messages += pipeline.execute()[0]
        users.hincrby("eagle:tally", "fetches", due_a_second // 4)
    return messages, time.monotonic() - began


def _counters(system: System) -> dict[str, Any]:
    processes = system.processes.ids("dispatcher", "beat", "redis")
    return {
        "cpu": {name: proc.cpu_seconds(pid) for name, pid in processes.items()},
        "leased": system.ask(lambda store: store.fleet.totals()).leased,
    }


def overdue(
    stage: Stage, relay: Relay, homes: int, *, seconds: float, workers: int
) -> dict[str, Any]:
    """Start the system when this many homes are overdue, and watch how their number falls."""
    with stage.processes("overdue") as processes:
        system = System(processes, relay.post_url, workers=workers)
        system.seed(relay.accounts(homes))
        asyncio.run(asyncio.sleep(system.settings.intervals[Kind.DEMAND]))
        began = time.monotonic()
        system.start()
        started = time.monotonic() - began
        decay = list(_decay(system, seconds))
        if found := system.ask(lambda store: breaches(store.users)):
            raise Failed(f"users in neither set or in both: {found[:3]}")
        fetches = system.tally().get("fetches", 0)
        all_served = next((at for at, _, served in decay if served >= homes), None)
        on_time = next((at for at, late, served in decay if served >= homes and late <= 2.0), None)
        cpu = sum(map(proc.cpu_seconds, system.contenders().values()))
        curve = [(round(at), round(late, 1)) for at, late, _ in decay[:: max(1, len(decay) // 12)]]
        return {
            "name": f"restart, {homes} overdue, {workers} workers",
            "seconds": round(decay[-1][0], 3),
            "cpu": round(cpu, 3),
            "count": fetches,
            "per_second": round(fetches / decay[-1][0], 1),
            "note": f"all served once after {_seconds(all_served)}, none over 2 s late after "
            f"{_seconds(on_time)} (processes took {started:.0f} s to start); "
            f"seconds: longest overdue: {json.dumps(curve)}",
        }


def _decay(system: System, seconds: float) -> Iterator[tuple[float, float, int]]:
    """Yields once a second: the seconds since all processes were up, the wait of the most overdue
    user, and the fetches so far."""
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        totals = system.ask(lambda store: store.fleet.totals())
        late = 0.0 if totals.oldest_due is None else max(0.0, time.time() - totals.oldest_due)
        yield at, late, system.tally().get("fetches", 0)
        system.processes.check()
        time.sleep(1.0)


def _seconds(seconds: float | None) -> str:
    return "more than was watched" if seconds is None else f"{seconds:.0f} s"
