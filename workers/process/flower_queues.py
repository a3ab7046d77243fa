"""A client with which Flower counts queues through a Unix socket. Flower's own ignores the user
name and the database, so it would count the queues of database 0.

This module replaces an inner class of Flower:

- **Which:** `RedisSocket`, beside `RedisBase`, in `flower.utils.broker`.
- **Why, and what it saves:** Flower has no setting for it, and its page of queues would be wrong
  where Redis is reached through a Unix socket.
- **When it breaks:** pyproject.toml allows one minor version of Flower, and
  `tests/canaries/test_flower_broker.py` shows what changed. If adapting takes long, delete this
  module and its name in `workers/app.py`; nothing but that page depends on it.
"""

from __future__ import annotations

import sys
from typing import Any

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from eagle_logger.core.redis_address import RedisAddress


def install() -> None:
    """Replace Flower's client. In a process without Flower, do nothing."""
    broker = sys.modules.get("flower.utils.broker")
    if broker is None:
        return

    class RedisSocket(broker.RedisBase):  # type: ignore[misc,name-defined]  # Flower has no types
        def __init__(self, broker_url: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(broker_url, *args, **kwargs)
            options = RedisAddress.parse(broker_url).client_options
            self.redis = aioredis.Redis(
                **options, socket_timeout=self.socket_timeout, retry=Retry(NoBackoff(), 0)
            )

    broker.RedisSocket = RedisSocket  # type: ignore[attr-defined]


install()
