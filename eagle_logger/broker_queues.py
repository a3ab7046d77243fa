"""Celery's queues by name, and how many messages wait in them: read straight from the broker's
Redis, without Celery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import redis

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from eagle_logger.network import blocking_redis

ADHOC = "adhoc"
DISPATCH = "dispatch"
FETCH = "fetch"
"""For a worker's `-Q`: all fetch queues, however many there are."""
ROTATE = "rotate"
"""For a worker's `-Q`: the queue of its own node, whatever that is called."""


_NEVER_THERE = "eagle:never-there"
"""A key that does not exist. Deleting it changes nothing, but a replica refuses to. Without it, a
replica would answer with outdated lengths after a failover."""


def fetch_queue(index: int) -> str:
    return f"fetch.{index}"


def rotate_queue(node: str) -> str:
    return f"rotate.{node}"


def fetch_queues(count: int) -> list[str]:
    return [fetch_queue(index) for index in range(count)]


def resolved(names: Iterable[str], *, fetch_queue_count: int, node: str) -> list[str]:
    """The queues that a worker's `-Q` means, in order, each once."""
    meant = {FETCH: fetch_queues(fetch_queue_count), ROTATE: [rotate_queue(node)]}
    return list(dict.fromkeys(queue for name in names for queue in meant.get(name, [name])))


def full_queues(waiting: Mapping[str, int], at_most: int) -> set[str]:
    """Those in which their share of the messages that may wait does so. A queue that nobody takes
    from is not to stop the others."""
    share = -(-at_most // len(waiting))
    return {queue for queue, messages in waiting.items() if messages >= share}


class Broker:
    """The broker's Redis, for looking at it only. Blocking."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis = blocking_redis.client(address, socket_timeout=5, socket_connect_timeout=5)

    def waiting(self, queues: Iterable[str]) -> dict[str, int]:
        """Messages that no worker has taken yet, by queue. Raises RedisUnavailable."""
        names = list(queues)
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.delete(_NEVER_THERE)
            for name in names:
                pipeline.llen(name)
            _, *lengths = pipeline.execute()
            return dict(zip(names, map(int, lengths), strict=True))
        except redis.RedisError as exc:
            raise RedisUnavailable(f"the broker at {self._address} does not answer: {exc}") from exc

    def close(self) -> None:
        self._redis.close()
