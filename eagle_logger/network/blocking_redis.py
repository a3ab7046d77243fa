"""Blocking clients of Redis. They close a connection whose server is not the primary any more, or
takes no writes because its disk is full."""

from __future__ import annotations

from typing import Any

import redis

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.wrong_server import comes_from_full_disk, comes_from_wrong_server


def client(address: RedisAddress, **options: Any) -> redis.Redis:
    """A blocking client of this address; `options` are redis-py's own."""
    made = redis.Redis(**address.client_options, **options)
    pool = made.connection_pool
    pool.connection_class = leaving_wrong_servers(pool.connection_class)
    return made


def leaving_wrong_servers(connection: type[Any]) -> type[Any]:
    """A subclass of `connection` that closes itself when the server says that it is not the primary
    or that its disk is full. That answer becomes redis-py's ConnectionError, so callers handle it
    like any lost connection. Another error would end a worker."""

    class Leaving(connection):  # type: ignore[misc]  # redis-py has three classes of them, and kombu a fourth
        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().read_response(*args, **kwargs)
            except redis.ResponseError as exc:
                if comes_from_wrong_server(exc):
                    reason = "is not the primary"
                elif comes_from_full_disk(exc):
                    reason = "cannot write its files"
                else:
                    raise
                self.disconnect()
                raise redis.ConnectionError(f"this server {reason}: {exc}") from exc

    return Leaving
