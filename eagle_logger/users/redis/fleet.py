"""Facts about the system in Redis: see `store.Fleet`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping

import structlog

from eagle_logger.core.circuit_breaker import Breaker, Phase, Sample
from eagle_logger.core.overload import COUNTED_IN_LEASES
from eagle_logger.core.skew import skew
from eagle_logger.core.user_standing import OVERDUE_AFTER_S
from eagle_logger.errors import ConfigurationError
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.known_keys import keys_note
from eagle_logger.users.redis.redis_connection import Argument, RedisConnection
from eagle_logger.users.redis.redis_time import RedisTime
from eagle_logger.users.redis.rows import moment_of, progress_note
from eagle_logger.users.store import NODE_KEPT_S, PROGRESS_KEPT_S, Totals

_log = structlog.get_logger("eagle_logger.users.redis.fleet")

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")


class RedisFleet:
    def __init__(self, redis: RedisConnection, time: RedisTime, cipher: Cipher | None) -> None:
        self._redis = redis
        self._time = time
        self._cipher = cipher

    async def now(self) -> float:
        return await self._time.now()

    async def totals(self) -> Totals:
        now, lease = self._time.script_now_and_lease()
        words: list[Argument] = [
            now,
            lease,
            self._time.clock.stretched(OVERDUE_AFTER_S),
            COUNTED_IN_LEASES * lease,
        ]
        answer = await self._redis.run("totals", words)
        users, due, overdue, leased, oldest, troubled, refused, newly_leased = answer
        parked = users - due - leased
        # A parked user has a trouble, too. One that was updated a moment ago may be counted among
        # neither.
        failing = max(0, troubled - parked)
        return Totals(
            users=users,
            due=due,
            overdue=overdue,
            leased=leased,
            parked=parked,
            oldest_due=moment_of(oldest or None),
            failing=failing,
            refused=refused,
            newly_leased=newly_leased,
        )

    async def tally(self) -> dict[str, int]:
        # A counter that is not a number is left out; the next report starts it again.
        counters = (await self._hash("eagle:tally")).items()
        return {name: int(count) for name, count in counters if _WHOLE_NUMBER.fullmatch(count)}

    async def count(self, tally: Mapping[str, int]) -> None:
        counters = [word for name, count in tally.items() for word in (name, count)]
        await self._redis.run("report", [*self._time.script_now_and_lease(), len(tally), *counters])

    async def breaker(self) -> Breaker:
        members = await self._hash("eagle:breaker")
        if not members:
            return Breaker()
        try:
            samples = tuple(
                Sample(float(at), int(visits), int(failed))
                for at, visits, failed in json.loads(members["samples"])
            )
            return Breaker(Phase(members["phase"]), float(members["since"]), samples)
        except (ValueError, TypeError, KeyError) as exc:
            _log.warning(
                "breaker_unreadable", reason=repr(exc), detail="the breaker starts again, closed"
            )
            return Breaker()

    async def set_breaker(self, breaker: Breaker) -> None:
        members: dict[str, Argument] = {
            "phase": str(breaker.phase),
            "since": breaker.since,
            "samples": json.dumps(breaker.samples),
        }
        words = [word for member in members.items() for word in member]
        await self._redis.command("HSET", "eagle:breaker", *words)

    async def note_progress(self, name: str, note: Mapping[str, str | int | float]) -> float:
        if self._cipher is not None:
            self._cipher.refresh()
        clock = self._time.clock
        shown, sent = clock.now(), time.monotonic()
        now = await self.now()
        ahead = round(skew(shown, clock.stretched(time.monotonic() - sent), now), 3)
        text = json.dumps({**keys_note(self._cipher), **note, "at": now, "clock_ahead": ahead})
        await self._redis.command("HSET", "eagle:progress", name, text)
        return ahead

    async def progress(self) -> dict[str, dict[str, str | int | float]]:
        written, now = await self._hash("eagle:progress"), await self.now()
        oldest = now - self._time.clock.stretched(PROGRESS_KEPT_S)
        notes = {
            name: note
            for name, text in written.items()
            if (note := progress_note(text)) and oldest <= note["at"] <= now
        }
        stale = written.keys() - notes.keys()
        if stale:
            await self._redis.command("HDEL", "eagle:progress", *stale)
        return notes

    async def agree_on_shards(self, shards: int) -> int:
        await self._redis.command("SETNX", "eagle:shards", shards)
        return await self.shards() or shards

    async def shards(self) -> int | None:
        written = await self._redis.command("GET", "eagle:shards")
        if written is not None and not _WHOLE_NUMBER.fullmatch(written.decode(errors="replace")):
            raise ConfigurationError(
                "eagle:shards in Redis should hold the number of shards, but it holds "
                f"{written[:40]!r}: set it to the value that EAGLE_SHARDS had when this system was "
                "first started"
            )
        return None if written is None else int(written)

    async def set_shards(self, shards: int) -> None:
        await self._redis.command("SET", "eagle:shards", shards)

    async def register_node(self, node: str) -> None:
        await self._redis.command("ZADD", "eagle:nodes", await self.now(), node)

    async def nodes(self) -> list[str]:
        oldest = await self.now() - self._time.clock.stretched(NODE_KEPT_S)
        await self._redis.command("ZREMRANGEBYSCORE", "eagle:nodes", "-inf", f"({oldest!r}")
        members = await self._redis.command("ZRANGE", "eagle:nodes", 0, -1)
        names = [member.decode(errors="replace") for member in members]
        return sorted(name for name in names if "\ufffd" not in name)

    async def _hash(self, key: str) -> dict[str, str]:
        members = await self._redis.command("HGETALL", key)
        return {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in members.items()
        }
