"""The world, checked in one place: what must be right outside the program for it to work, each with what to do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import redis

from eagle_logger import wiring
from eagle_logger.core.breaker import Phase
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.skew import LARGEST_SKEW, skew
from eagle_logger.errors import EagleError, NoConditionalWrites
from eagle_logger.settings import GIVEN_UP_FILE, Settings
from eagle_logger.tls import client_context

Result = TypeVar("Result")

OLDEST_REDIS = (6, 2)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `advice` says what to do when it is not well."""

    name: str
    well: bool
    found: str
    advice: str = ""


def run_all(settings: Settings) -> list[Finding]:
    """Every check, whatever the others found. Blocking; each is bounded by a few seconds."""
    checks: list[Callable[[Settings], Finding]] = [
        redis_answers,
        redis_keeps_everything,
        broker_answers,
        key_is_there,
        disk_has_room,
        node_takes_fetches,
        archive_is_writable,
        relay_is_reachable,
        breaker_is_closed,
        clocks_agree,
        programs_run,
    ]
    return [check(settings) for check in checks]


def redis_answers(settings: Settings) -> Finding:
    return _redis_finding("redis", settings.redis_address, "EAGLE_REDIS_URL")


def broker_answers(settings: Settings) -> Finding:
    return _redis_finding("broker", settings.broker_address, "EAGLE_BROKER_URL")


def _redis_finding(name: str, address: RedisAddress, variable: str) -> Finding:
    try:
        server, replication = _info(address, "server"), _info(address, "replication")
    except redis.RedisError as wrong:
        return Finding(name, well=False, found=f"{address}: {wrong}", advice=f"Start Redis, or correct {variable}.")
    if replication["role"] != "master":
        primary = f"{replication.get('master_host')}:{replication.get('master_port')}"
        kind = "a replica that takes no writes" if replication.get("slave_read_only", 1) else "a replica, which forgets writes"
        advice = f"Let {variable} name the primary, or something that always leads to it."
        return Finding(name, well=False, found=f"{address} is {kind}; its primary is {primary}", advice=advice)
    version = str(server["redis_version"])  # Valkey says here which Redis it is like
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return Finding(name, well=False, found=f"Redis {version}", advice="Use Redis 6.2 or newer, or Valkey.")
    own = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {version}"
    return Finding(name, well=True, found=f"{address}, {own}")


def redis_keeps_everything(settings: Settings) -> Finding:
    """Users and credentials must survive a restart and must never be evicted."""
    name = "redis durability"
    try:
        policy = str(_info(settings.redis_address, "memory").get("maxmemory_policy"))
        appends = bool(_info(settings.redis_address, "persistence").get("aof_enabled"))
    except redis.RedisError as wrong:
        return Finding(name, well=False, found=str(wrong), advice="Start Redis, or correct EAGLE_REDIS_URL.")
    found = f"maxmemory-policy {policy}, append-only file {'on' if appends else 'off'}"
    if policy != "noeviction":
        advice = "Redis may throw users away: CONFIG SET maxmemory-policy noeviction, and put it into redis.conf."
        return Finding(name, well=False, found=found, advice=advice)
    if not appends:
        return Finding(
            name, well=False, found=found, advice="A restart may lose users: CONFIG SET appendonly yes, and in redis.conf."
        )
    return Finding(name, well=True, found=found)


def key_is_there(settings: Settings) -> Finding:
    try:
        wiring.cipher(settings)
    except EagleError as wrong:
        return Finding("key", well=False, found=str(wrong), advice="`eagle-logger keys generate` makes a key.")
    return Finding("key", well=True, found="passwords can be encrypted and decrypted")


def disk_has_room(settings: Settings) -> Finding:
    folder = _nearest_folder(settings.logs_dir)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free for {settings.logs_dir}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "disk", well=False, found=f"{folder} cannot be written", advice="Give this user the right to write there."
        )
    if free < settings.min_free_disk:
        return Finding("disk", well=False, found=found, advice="Free some space: fetching has stopped (EAGLE_MIN_FREE_DISK).")
    return Finding("disk", well=True, found=found)


def node_takes_fetches(settings: Settings) -> Finding:
    if wiring.drain(settings).is_asked():
        advice = "`eagle-logger drain --undo` puts it back to work."
        return Finding("node", well=False, found="it is drained: nothing is fetched here", advice=advice)
    return Finding("node", well=True, found="it takes fetches")


def archive_is_writable(settings: Settings) -> Finding:
    try:
        archive = wiring.archive(settings)
        archive.prove()  # which tries the right to write as well: a store looks at that first
        archive.ping()
    except NoConditionalWrites as exc:
        advice = "Nothing is archived, nothing is deleted. Take a store of docs/how-to/choose-a-store.md."
        return Finding("archive", well=False, found=str(exc), advice=advice)
    except EagleError as wrong:
        return Finding("archive", well=False, found=str(wrong), advice="Correct EAGLE_ARCHIVE_URL or the rights behind it.")
    return Finding("archive", well=True, found=f"{archive.url} can be listed and written, and replaces nothing")


def relay_is_reachable(settings: Settings) -> Finding:
    """That something answers HTTP there; no credentials are sent."""
    try:
        answer = _ask_relay(settings)
    except (httpx.HTTPError, ssl.SSLError, OSError) as wrong:
        found = f"{settings.relay_url}: {type(wrong).__name__}: {wrong}"
        return Finding("relay", well=False, found=found, advice="Check the network and EAGLE_RELAY_URL (and EAGLE_RELAY_CA).")
    return Finding("relay", well=True, found=f"{settings.relay_url} answers (HTTP {answer.status_code} without credentials)")


def breaker_is_closed(settings: Settings) -> Finding:
    name = "breaker"
    try:
        phase = asyncio.run(_phase(settings))
    except EagleError as wrong:
        return Finding(name, well=False, found=str(wrong), advice="Start Redis, or correct EAGLE_REDIS_URL.")
    if phase is Phase.OPEN:
        advice = "Wait: users return by themselves. If it lasts, see the line `relay`, and `last_error` in `status --json`."
        return Finding(name, well=False, found="open: most visits fail, so only a few users are asked", advice=advice)
    return Finding(name, well=True, found=str(phase))


async def _phase(settings: Settings) -> Phase:
    store = wiring.user_store(settings, passwords=False)
    try:
        return (await store.breaker()).phase
    finally:
        await store.close()


def clocks_agree(settings: Settings) -> Finding:
    """Compare this machine's clock with Redis' and, where it says its own, the relay's."""
    skews: dict[str, float] = {}
    try:
        with _client(settings.redis_address) as client:
            client.ping()  # the connection is made before the time counts
            (seconds, microseconds), sent, took = _timed(client.time)
        skews["Redis"] = skew(sent, took, seconds + microseconds / 1e6)
        answer, sent, took = _timed(lambda: _ask_relay(settings))
        if date := answer.headers.get("date"):
            skews["the relay"] = skew(sent, took, parsedate_to_datetime(date).timestamp())
    except (redis.RedisError, httpx.HTTPError, OSError, ValueError):
        pass  # who does not answer has a finding of its own
    if not skews:
        return Finding("clock", well=False, found="nobody to compare with", advice="Make Redis and the relay answer first.")
    found = ", ".join(f"{ahead:+.1f} s against {name}" for name, ahead in skews.items())
    # An HTTP date has whole seconds, so up to one of its seconds is rounding.
    well = all(abs(ahead) <= LARGEST_SKEW + (name != "Redis") for name, ahead in skews.items())
    return Finding(
        "clock", well=well, found=found, advice="" if well else "Set this machine's clock (NTP): arrival times are wrong."
    )


def _timed(ask: Callable[[], Result]) -> tuple[Result, float, float]:
    """The answer, what this machine's clock showed before, and how many seconds it took."""
    shown, sent = time.time(), time.monotonic()
    answer = ask()
    return answer, shown, time.monotonic() - sent


def programs_run(settings: Settings) -> Finding:
    """That no program of the `up` on this data directory keeps dying."""
    file = settings.data_dir / GIVEN_UP_FILE
    try:
        given_up = ", ".join(str(name) for name in json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        given_up = ""  # no `up` runs here, or the power failed while it wrote
    if not given_up:
        return Finding("programs", well=True, found="none keeps dying")
    advice = f"Look at what it wrote in {settings.data_dir / 'run' / 'log'}. It is started again by itself."
    return Finding("programs", well=False, found=f"keeps dying: {given_up}", advice=advice)


def _client(address: RedisAddress) -> Any:
    return redis.Redis(**address.client_options, socket_timeout=3, socket_connect_timeout=3)


def _info(address: RedisAddress, section: str) -> dict[str, Any]:
    with _client(address) as client:
        return dict(client.info(section))


def _ask_relay(settings: Settings) -> httpx.Response:
    return httpx.get(settings.relay_url, timeout=5, verify=client_context(settings.relay_ca), follow_redirects=False)


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
