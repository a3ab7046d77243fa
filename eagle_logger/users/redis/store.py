"""The user store in Redis. Every step that must be atomic is one Lua script; `scripts/common.lua`
has a diagram of the keys.

Scripts name keys that they work out themselves, so this needs one Redis, not a cluster.
"""

from __future__ import annotations

from eagle_logger.clock import Clock
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis.fleet import RedisFleet
from eagle_logger.users.redis.redis_connection import RedisConnection
from eagle_logger.users.redis.redis_time import RedisTime
from eagle_logger.users.redis.schedule import RedisSchedule
from eagle_logger.users.redis.users import RedisUsers
from eagle_logger.users.store import UserStore


def redis_store(
    address: RedisAddress | str,
    *,
    cipher: Cipher | None,
    clock: Clock | None = None,
    lease: float = 20.0,
) -> UserStore:
    """The store at this address or URL. It connects on first use, and then belongs to that event
    loop.

    `lease` is in real seconds. Without a `cipher`, claims carry no credentials, and methods that
    write passwords raise NoSecretKey.
    """
    redis = RedisConnection(RedisAddress.parse(address) if isinstance(address, str) else address)
    time = RedisTime(redis, clock or Clock(), lease=lease)
    fleet = RedisFleet(redis, time, cipher)
    return UserStore(
        users=RedisUsers(redis, time, cipher, fleet),
        schedule=RedisSchedule(redis, time, cipher),
        fleet=fleet,
        close=redis.close,
    )
