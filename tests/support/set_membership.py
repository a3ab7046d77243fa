"""The rule of the schedule: every active user is either due or leased, and a parked user is
neither."""

from __future__ import annotations

import redis

from eagle_logger.users.store import StoredUser, Users

IDLE_TURN_BYTES = 10
"""A longer turn is that of a leased user (`users/redis/scripts/common.lua`)."""


async def breaches(users: Users) -> list[str]:
    """Every user that breaks the rule, one line each. Works in small steps, so that it may run
    beside a running system."""
    return [
        breach async for batch in users.all() for stored in batch if (breach := _breach(stored))
    ]


def _breach(stored: StoredUser) -> str | None:
    sets = [
        name
        for name, score in (("due", stored.due), ("leased", stored.lease_ends))
        if score is not None
    ]
    if len(sets) == (0 if stored.state.parked else 1):
        return None
    standing = "parked" if stored.state.parked else "active"
    return f"{stored.user.cloud_id}: {standing}, and in {' and '.join(sets) or 'neither set'}"


def strays(url: str) -> list[str]:
    """Every member of a set in Redis that is no user, or whose turn says otherwise. Reads all in
    one transaction, so that it may run beside a running system."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=True) as pipeline:
        pipeline.hgetall("eagle:turns")
        pipeline.zrange("eagle:due", 0, -1)
        pipeline.zrange("eagle:leased", 0, -1)
        for number in range(256):
            pipeline.hkeys(f"eagle:users:{number:02x}")
        turns, due, leased, *users = pipeline.execute()
    known = {cloud_id for some in users for cloud_id in some}
    idle = {cloud_id for cloud_id, turn in turns.items() if len(turn) == IDLE_TURN_BYTES}
    belong = {"due": known & idle, "leased": (known & turns.keys()) - idle}
    return [
        f"{cloud_id.decode(errors='replace')}: does not belong into {name}"
        for name, members in (("due", due), ("leased", leased))
        for cloud_id in members
        if cloud_id not in belong[name]
    ]
