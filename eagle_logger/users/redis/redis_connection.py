"""The connection to the users' Redis, its scripts, and what its errors mean.

This module uses an inner part of redis-py:

- **Which:** its connections call `pack_command` to spell out each command, and send whatever bytes
  it returns. The module overrides it with hiredis' function of that name, which redis-py's
  synchronous connections use as well. redis-py documents neither.
- **Why, and what it saves:** packing in C takes 0.6 µs of CPU for the five words that a report has
  for each user; redis-py's own packing takes 2.7. With the words of a claim, it saves 1.5 % of a
  whole fetch.
- **When it breaks:** pyproject.toml allows one minor version of redis-py and of hiredis, and
  `tests/canaries/test_redis_packing.py` shows whether the part works alone. If a new version
  changed it, delete `_packing_in_c` and the line that uses it. That costs CPU, and changes nothing
  else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import hiredis
import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.wrong_server import (
    comes_from_full_disk,
    comes_from_full_memory,
    comes_from_wrong_server,
)
from eagle_logger.errors import RedisUnavailable

Argument = bytes | str | int | float

_MOST_CONNECTIONS = 32
_ANSWER_WITHIN_S = 5.0
_CONNECT_WITHIN_S = 3.0
_CHECK_IDLE_AFTER_S = 25.0
_ERRORS = (RedisError, OSError, TimeoutError)


class Script(Protocol):
    async def __call__(self, keys: Sequence[str] = ..., args: Sequence[Argument] = ...) -> Any: ...


class RedisConnection:
    """A pool of connections to one Redis, bound to the event loop it is first used on.

    A command that may have been carried out is never sent twice. After a lost answer it is unknown
    whether it was, and leases make up for that. If Redis was restarted and does not know a script,
    the script has not run; it is loaded and called again.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._pool = aioredis.BlockingConnectionPool.from_url(
            address.url,
            max_connections=_MOST_CONNECTIONS,
            timeout=_ANSWER_WITHIN_S,
            socket_timeout=_ANSWER_WITHIN_S,
            socket_connect_timeout=_CONNECT_WITHIN_S,
            health_check_interval=_CHECK_IDLE_AFTER_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **address.tls_options,
            **({} if address.socket else {"socket_keepalive": True}),
        )
        self._pool.connection_class = _packing_in_c(self._pool.connection_class)  # type: ignore[arg-type]  # mypy means hash()
        self._client = aioredis.Redis(connection_pool=self._pool)
        self._scripts: dict[str, Script] = {}

    async def close(self) -> None:
        await self._client.aclose()
        await self._pool.aclose()

    async def run(self, name: str, args: Sequence[Argument] = ()) -> Any:
        """Run `scripts/<name>.lua`. Raises RedisUnavailable."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._client.register_script(
                f"{lua_file('common')}\n{lua_file(name)}"
            )
        return await self._answer(lambda: script(args=args))

    async def command(self, *words: Argument) -> Any:
        """One command, with its raw answer. Raises RedisUnavailable."""
        return await self._answer(lambda: self._client.execute_command(*words))  # type: ignore[no-untyped-call]  # it has no types

    async def together(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """The raw answers of several reading commands, in one round trip. Raises
        RedisUnavailable."""

        def send() -> Awaitable[list[Any]]:
            pipeline = self._client.pipeline(transaction=False)
            for words in commands:
                pipeline.execute_command(*words)
            return pipeline.execute()

        answers: list[Any] = await self._answer(send)
        return answers

    async def _answer(self, send: Callable[[], Awaitable[Any]]) -> Any:
        """Send. If the server turns out not to be the primary, it has carried out nothing, so send
        once more over a new connection."""
        try:
            return await send()
        except _ERRORS as exc:
            if not comes_from_wrong_server(exc):
                raise self._unavailable(exc) from exc
        await self._leave_server()
        try:
            return await send()
        except _ERRORS as exc:
            await self._leave_server()
            raise self._unavailable(exc) from exc

    async def _leave_server(self) -> None:
        """Close all idle connections. A connection in use is closed when the server refuses it."""
        await self._pool.disconnect(inuse_connections=False)

    def _unavailable(self, exc: Exception) -> RedisUnavailable:
        reason = (str(exc) or type(exc).__name__).rstrip(".")
        if comes_from_full_memory(exc):
            return RedisUnavailable(
                f"Redis at {self._address} is out of memory: raise its maxmemory"
            )
        if comes_from_wrong_server(exc):
            return RedisUnavailable(f"Redis at {self._address} is not the primary ({reason})")
        if comes_from_full_disk(exc):
            return RedisUnavailable(
                f"Redis at {self._address} cannot write its files: give its disk room ({reason})"
            )
        return RedisUnavailable(
            f"Redis at {self._address} does not answer usefully ({reason}): start it "
            "(`eagle-logger up` brings one along), or correct EAGLE_REDIS_URL or --data"
        )


@cache
def _packing_in_c(connection: type[Any]) -> type[Any]:
    """A class of connections like `connection`, but with commands packed by hiredis."""

    class PackingInC(connection):  # type: ignore[misc]  # the URL decides which class it is
        def pack_command(self, name: str | bytes, *words: Argument) -> list[bytes]:
            # Redis takes the name `SCRIPT LOAD` as two words.
            names = name.encode().split() if isinstance(name, str) else name.split()
            return [hiredis.pack_command((*names, *words))]  # type: ignore[arg-type]  # typed as a tuple of one word

    return PackingInC


@cache
def lua_file(name: str) -> str:
    return (files("eagle_logger.users.redis") / "scripts" / f"{name}.lua").read_text()
