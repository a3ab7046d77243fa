"""Checks the users' Redis and the broker: whether they answer, and keep what they are given."""

from __future__ import annotations

from typing import Any

import redis

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.inspection.finding import CheckResult, ok, wrong
from eagle_logger.settings import Settings

OLDEST_REDIS = (6, 2)


def redis_answers(settings: Settings) -> CheckResult:
    return _redis_finding("redis", settings.redis_address, "EAGLE_REDIS_URL")


def broker_answers(settings: Settings) -> CheckResult:
    return _redis_finding("broker", settings.broker_address, "EAGLE_BROKER_URL")


def _redis_finding(name: str, address: RedisAddress, variable: str) -> CheckResult:
    try:
        server, replication = _info(address, "server"), _info(address, "replication")
    except redis.RedisError as exc:
        return wrong(name, found=f"{address}: {exc}", advice=f"Start Redis, or correct {variable}.")
    if replication["role"] != "master":
        primary = f"{replication.get('master_host')}:{replication.get('master_port')}"
        kind = (
            "a replica that takes no writes"
            if replication.get("slave_read_only", 1)
            else "a replica, which forgets writes"
        )
        advice = f"Let {variable} name the primary, or an address that always leads to it."
        return wrong(name, found=f"{address} is {kind}; its primary is {primary}", advice=advice)
    version = str(
        server["redis_version"]
    )  # Valkey gives the Redis version that it is compatible with
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return wrong(name, found=f"Redis {version}", advice="Use Redis 6.2 or newer, or Valkey.")
    own = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {version}"
    return ok(name, found=f"{address}, {own}")


def redis_keeps_everything(settings: Settings) -> CheckResult:
    """Users and credentials must survive a restart and must never be evicted."""
    name = "redis durability"
    try:
        policy = str(_info(settings.redis_address, "memory").get("maxmemory_policy"))
        appends = bool(_info(settings.redis_address, "persistence").get("aof_enabled"))
    except redis.RedisError as exc:
        return wrong(name, found=str(exc), advice="Start Redis, or correct EAGLE_REDIS_URL.")
    found = f"maxmemory-policy {policy}, append-only file {'on' if appends else 'off'}"
    if policy != "noeviction":
        advice = "Redis may evict users: CONFIG SET maxmemory-policy noeviction, and put it into redis.conf."
        return wrong(name, found=found, advice=advice)
    if not appends:
        return wrong(
            name,
            found=found,
            advice="A restart may lose users: CONFIG SET appendonly yes, and in redis.conf.",
        )
    return ok(name, found=found)


def client_of(address: RedisAddress) -> Any:
    return redis.Redis(**address.client_options, socket_timeout=3, socket_connect_timeout=3)


def _info(address: RedisAddress, section: str) -> dict[str, Any]:
    with client_of(address) as client:
        return dict(client.info(section))
