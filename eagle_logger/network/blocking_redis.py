"""Blocking clients of Redis. They close a connection to a server that is not the primary any more,
or that takes no writes because its disk or its memory is full."""

from __future__ import annotations

from typing import Any

import redis

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.core.wrong_server import (
    comes_from_full_disk,
    comes_from_full_memory,
    comes_from_wrong_server,
)


def client(address: RedisAddress, **options: Any) -> redis.Redis:
    """`options` are redis-py's own."""
    blocking_client = redis.Redis(**address.client_options, **options)
    pool = blocking_client.connection_pool
    pool.connection_class = leaving_wrong_servers(pool.connection_class)
    return blocking_client


def leaving_wrong_servers(connection: type[Any]) -> type[Any]:
    """A subclass of `connection` that closes itself when the server answers that it is not the
    primary, or that its disk or memory is full. It then raises redis-py's ConnectionError, so
    callers handle the answer like a lost connection. Any other error would end a worker."""

    class WrongServerLeaver(connection):  # type: ignore[misc]  # redis-py and kombu have several
        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().read_response(*args, **kwargs)
            except redis.ResponseError as exc:
                if comes_from_wrong_server(exc):
                    reason = "is not the primary"
                elif comes_from_full_disk(exc):
                    reason = "cannot write its files"
                elif comes_from_full_memory(exc):
                    reason = "is out of memory"
                else:
                    raise
                self.disconnect()
                raise redis.ConnectionError(f"this server {reason}: {exc}") from exc

    return WrongServerLeaver
