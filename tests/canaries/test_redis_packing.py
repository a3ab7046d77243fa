"""redis-py's `pack_command`, overridden with hiredis' function of that name."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
import redis.asyncio as aioredis

from tests.canaries.advice import advice_of

RELIES_ON_IT = "eagle_logger/users/redis/redis_connection.py"
COMMANDS: list[tuple[Any, ...]] = [
    ("GET", "key"),
    ("EVALSHA", b"\x00\xff" * 10_000, 7, 1773162000.25, "ä"),
    ("SCRIPT LOAD", "return 1"),
]


class PackingInC(aioredis.Connection):
    packed = 0

    def pack_command(self, *words: Any) -> list[bytes]:
        type(self).packed += 1
        return [hiredis.pack_command((*words[0].encode().split(), *words[1:]))]


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_hiredis_packs_a_command_to_the_bytes_of_redis_py(words: tuple[Any, ...]) -> None:
    with advice_of(RELIES_ON_IT):
        by_redis_py = b"".join(aioredis.Connection().pack_command(*words))
        assert b"".join(PackingInC().pack_command(*words)) == by_redis_py


async def test_a_connection_sends_what_its_pack_command_returns(redis_url: str) -> None:
    with advice_of(RELIES_ON_IT):
        pool = aioredis.BlockingConnectionPool.from_url(redis_url)
        pool.connection_class = PackingInC
        client = aioredis.Redis(connection_pool=pool)
        PackingInC.packed = 0
        script = client.register_script("return ARGV[1]")
        assert await script(args=[b"\x00\xff"]) == b"\x00\xff"
        pipeline: Any = client.pipeline(transaction=False)
        pipeline.execute_command("SET", "key", 1.5)
        pipeline.execute_command("GET", "key")
        assert await pipeline.execute() == [True, b"1.5"]
        await client.aclose()
        await pool.aclose()
        assert PackingInC.packed >= 4
