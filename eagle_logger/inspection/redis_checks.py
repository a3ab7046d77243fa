"""Checks that the users' Redis and the broker answer, and keep what they are given."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.inspection.check_result import CheckResult
from eagle_logger.settings import Settings

OLDEST_REDIS = (6, 2)
_ANSWER_WITHIN_S = 3.0


def redis_answers(settings: Settings) -> CheckResult:
    return _check_server("redis", settings.redis_address, "EAGLE_REDIS_URL")


def broker_answers(settings: Settings) -> CheckResult:
    return _check_server("broker", settings.broker_address, "EAGLE_BROKER_URL")


def _check_server(name: str, address: RedisAddress, variable: str) -> CheckResult:
    try:
        server, replication = _info(address, "server"), _info(address, "replication")
    except redis.RedisError as exc:
        advice = f"Start Redis (`eagle-logger up` brings one along), or correct {variable}."
        return CheckResult.wrong(name, f"{address}: {exc}", advice)
    if replication["role"] != "master":
        advice = f"Let {variable} name the primary, or an address that always leads to it."
        return CheckResult.wrong(name, f"{address} is {_replica_in_words(replication)}", advice)
    # Valkey gives the Redis version that it is compatible with, and its own beside it.
    version = str(server["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return CheckResult.wrong(name, f"Redis {version}", "Use Redis 6.2 or newer, or Valkey.")
    if "valkey_version" in server:
        return CheckResult.ok(name, f"{address}, Valkey {server['valkey_version']}")
    return CheckResult.ok(name, f"{address}, Redis {version}")


def _replica_in_words(replication: dict[str, Any]) -> str:
    is_read_only = replication.get("slave_read_only", 1)
    replica = (
        "a replica that takes no writes" if is_read_only else "a replica, which forgets writes"
    )
    primary = f"{replication.get('master_host')}:{replication.get('master_port')}"
    return f"{replica}; its primary is {primary}"


def redis_keeps_everything(settings: Settings) -> CheckResult:
    """Users and credentials must survive a restart and must never be evicted."""
    name = "redis durability"
    try:
        policy = str(_info(settings.redis_address, "memory").get("maxmemory_policy"))
        appends = bool(_info(settings.redis_address, "persistence").get("aof_enabled"))
    except redis.RedisError as exc:
        return CheckResult.wrong(name, str(exc), "See the line `redis`.")
    found = f"maxmemory-policy {policy}, append-only file {'on' if appends else 'off'}"
    if policy != "noeviction":
        advice = (
            "Redis may evict users: CONFIG SET maxmemory-policy noeviction, "
            "and put it into redis.conf."
        )
        return CheckResult.wrong(name, found, advice)
    if not appends:
        advice = "A restart may lose users: CONFIG SET appendonly yes, and in redis.conf."
        return CheckResult.wrong(name, found, advice)
    return CheckResult.ok(name, found)


def client_of(address: RedisAddress) -> Any:
    """A client that reports a failure at once. By default redis-py tries ten more times, for five
    seconds."""
    return redis.Redis(
        **address.client_options,
        socket_timeout=_ANSWER_WITHIN_S,
        socket_connect_timeout=_ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )


def _info(address: RedisAddress, section: str) -> dict[str, Any]:
    with client_of(address) as client:
        return dict(client.info(section))
