"""Going through all users in order of cloud id, without one command that holds up Redis for long.

Users lie in 256 hashes by their first two digits. What a hash holds is listed by Redis' own HKEYS
(some 10 ms for the 65 536 ids that may share two digits) and sorted here; the rest is asked for
page by page.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from eagle_logger.users.redis.redis_connection import RedisConnection

_HASHES = 256
_MOST_AT_ONCE = 32
"""Hashes listed in one round trip; fewer to begin with, for who wants one page only."""

_CLOUD_ID = re.compile(rb"[0-9a-f]{6}")
_STRANGE = "What eagle:users:… holds under these names is no user: look at it with redis-cli, and delete it."

Row = Sequence[Any]

_log = structlog.get_logger("eagle_logger.users.redis.listing")


async def pages(redis: RedisConnection, after: str, batch: int) -> AsyncIterator[list[bytes]]:
    """All ids behind `after`, `batch` at a time."""
    waiting: list[bytes] = []
    async for ids in _ids(redis, after):
        waiting += ids
        whole = len(waiting) - len(waiting) % batch
        for start in range(0, whole, batch):
            yield waiting[start : start + batch]
        del waiting[:whole]
    if waiting:
        yield waiting


async def _ids(redis: RedisConnection, after: str) -> AsyncIterator[list[bytes]]:
    number, step, last = int(after[:2], 16) if after else 0, 1, after.encode()
    while number < _HASHES:
        keys = [f"eagle:users:{one:02x}" for one in range(number, min(number + step, _HASHES))]
        for ids in await redis.together([("HKEYS", key) for key in keys]):
            found = [one for one in ids if one > last]
            strange = [one for one in found if not _CLOUD_ID.fullmatch(one)]
            if strange:
                _log.warning(
                    "no_cloud_id",
                    names=[repr(one[:20]) for one in strange[:5]],
                    users=len(strange),
                    detail=_STRANGE,
                )
            yield sorted({*found} - {*strange} if strange else found)
        number, step = number + step, min(2 * step, _MOST_AT_ONCE)


async def rows(redis: RedisConnection, ids: Sequence[bytes]) -> list[Row]:
    """For each of these users who is still there: id, record, state, trouble, when due, end of
    lease."""
    found = zip(ids, *await redis.run("rows", ids), strict=True)
    return [row for row in found if row[1] is not None]


async def outlines(redis: RedisConnection, ids: Sequence[bytes]) -> list[Row]:
    """The same, and those whose record alone is gone, too."""
    columns = await redis.run("rows", ids)
    return [
        row for row in zip(ids, *columns, strict=True) if row[1:] != (None, None, None, None, None)
    ]
