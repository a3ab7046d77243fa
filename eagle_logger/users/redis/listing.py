"""Lists all users in order of cloud id, without one command that holds up Redis for long.

Users are spread over 256 hashes by their first two digits. HKEYS lists the ids of a hash (10 ms for
the 65 536 ids that may share two digits), and they are sorted here. The rest is read page by page.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from eagle_logger.users.redis.redis_connection import RedisConnection

_HASHES = 256
_MOST_HASHES_AT_ONCE = 32
"""Hashes listed in one round trip. The first round trips list fewer, because many callers want one
page only."""

_CLOUD_ID = re.compile(rb"[0-9a-f]{6}")
_NO_CLOUD_ID_DETAIL = (
    "what eagle:users:… holds under these names is no user: look at it with redis-cli, and "
    "delete it"
)

Row = Sequence[Any]
"""Of one user: id, record, state, trouble, when it falls due, end of its lease; None for each that
it does not have."""

_log = structlog.get_logger("eagle_logger.users.redis.listing")


async def pages(redis: RedisConnection, after: str, batch: int) -> AsyncIterator[list[bytes]]:
    """All ids after `after`, `batch` at a time."""
    waiting: list[bytes] = []
    async for ids in _ids(redis, after):
        waiting += ids
        in_full_pages = len(waiting) - len(waiting) % batch
        for start in range(0, in_full_pages, batch):
            yield waiting[start : start + batch]
        del waiting[:in_full_pages]
    if waiting:
        yield waiting


async def _ids(redis: RedisConnection, after: str) -> AsyncIterator[list[bytes]]:
    number, step, last = int(after[:2], 16) if after else 0, 1, after.encode()
    while number < _HASHES:
        numbers = range(number, min(number + step, _HASHES))
        keys = [f"eagle:users:{hash_number:02x}" for hash_number in numbers]
        for ids in await redis.together([("HKEYS", key) for key in keys]):
            wanted = [cloud_id for cloud_id in ids if cloud_id > last]
            strange = [name for name in wanted if not _CLOUD_ID.fullmatch(name)]
            if strange:
                _log.warning(
                    "no_cloud_id",
                    names=[repr(name[:20]) for name in strange[:5]],
                    users=len(strange),
                    detail=_NO_CLOUD_ID_DETAIL,
                )
            yield sorted({*wanted} - {*strange} if strange else wanted)
        number, step = number + step, min(2 * step, _MOST_HASHES_AT_ONCE)


async def rows(redis: RedisConnection, ids: Sequence[bytes]) -> list[Row]:
    """The rows of these users; none for a user that has been removed meanwhile."""
    columns = await redis.run("rows", ids)
    return [row for row in zip(ids, *columns, strict=True) if row[1] is not None]


async def rows_with_anything(redis: RedisConnection, ids: Sequence[bytes]) -> list[Row]:
    """As `rows`, with the users that have no record but anything else."""
    columns = await redis.run("rows", ids)
    return [
        row for row in zip(ids, *columns, strict=True) if row[1:] != (None, None, None, None, None)
    ]
