"""Fault 3: Redis dies, forgets, sleeps, is full, or its connections go dead."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from random import Random

import redis

from tests.faults.scenario import Act, Scenario, Strike, archiving, nothing
from tests.faults.system_under_test import BROKER, Setup, Trial
from workers.up.programs import REDIS


def killed(name: str) -> Act:
    return lambda trial: trial.kill(name)


def stopped(name: str) -> Act:
    return lambda trial: trial.manager.stop([name])


def started(name: str) -> Act:
    return lambda trial: trial.manager.start([name])


def signalled(name: str, number: int) -> Act:
    return lambda trial: trial.signal(name, number)


def forget_messages(trial: Trial) -> None:
    with redis.Redis.from_url(trial.settings.broker) as broker:
        broker.flushdb()


def full(trial: Trial) -> None:
    """Make Redis refuse every command that needs memory; reading goes on."""
    with redis.Redis.from_url(trial.direct_redis_url) as server:
        server.config_set("maxmemory", 1024)


def roomy(trial: Trial) -> None:
    with redis.Redis.from_url(trial.direct_redis_url) as server:
        server.config_set("maxmemory", 0)


def strike(
    what: str, begin: Act, end: Act = nothing, *, lasts: float = 0.0, calm: float = 2.0
) -> Strike:
    return Strike(what, begin, end, lasts=lasts, calm=calm, flow=archiving)


def kills(chance: Random) -> Sequence[Strike]:
    return [
        *(
            strike(
                "kill -9 of Redis, which starts again with its AOF",
                killed(REDIS),
                calm=chance.uniform(1, 4),
            )
            for _ in range(3)
        ),
        strike("FLUSHDB of the broker's database", forget_messages, calm=chance.uniform(1, 4)),
        strike("Redis away", stopped(REDIS), started(REDIS), lasts=chance.uniform(25, 35)),
    ]


def broker_empty(chance: Random) -> Sequence[Strike]:
    return [
        *(
            strike(
                "kill -9 of the broker, which starts again empty",
                killed(BROKER),
                calm=chance.uniform(1, 4),
            )
            for _ in range(3)
        ),
        strike("the broker away", stopped(BROKER), started(BROKER), lasts=chance.uniform(5, 10)),
    ]


def asleep(seconds: float) -> Callable[[Random], Sequence[Strike]]:
    pause, wake = signalled(REDIS, signal.SIGSTOP), signalled(REDIS, signal.SIGCONT)
    return lambda _: [strike("SIGSTOP of Redis", pause, wake, lasts=seconds)]


def half_open(chance: Random) -> Sequence[Strike]:
    def cut(trial: Trial) -> None:
        trial.way_to_redis.go_dead()

    def connect_again(trial: Trial) -> None:
        trial.way_to_redis.come_back()

    return [
        strike("all connections to Redis half-open", cut, connect_again, calm=chance.uniform(1, 4)),
        strike(
            "all connections to Redis half-open, new ones too",
            cut,
            connect_again,
            lasts=chance.uniform(20, 40),
        ),
    ]


def out_of_memory(chance: Random) -> Sequence[Strike]:
    return [
        strike("maxmemory reached under noeviction", full, roomy, lasts=chance.uniform(5, 25))
        for _ in range(2)
    ]


SCENARIOS = [
    Scenario(
        "redis-kill",
        3,
        "Redis: kill -9 and restart with AOF; FLUSHDB of the broker's database; "
        "away for half a minute",
        kills,
    ),
    Scenario(
        "redis-empty",
        3,
        "the broker: kill -9 and restart empty of messages",
        broker_empty,
        Setup(own_broker=True),
    ),
    Scenario("redis-asleep", 3, "Redis paused for two minutes", asleep(120)),
    Scenario(
        "redis-half-open", 3, "connections to Redis half-open", half_open, Setup(way_to_redis=True)
    ),
    Scenario("redis-full", 3, "maxmemory reached under noeviction", out_of_memory),
]
