"""Celery's queues by name, and how many messages wait in them. The numbers are read from the
broker's Redis, without Celery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from eagle_logger.network import blocking_redis

ADHOC = "adhoc"
DISPATCH = "dispatch"
FETCH = "fetch"
"""In a worker's `-Q`: all fetch queues, however many there are."""
ROTATE = "rotate"
"""In a worker's `-Q`: the rotate queue of its own node."""
TABLES = "tables"
"""Days to roll up. Its messages take minutes, so it shares its workers with no other queue."""

_MISSING_KEY = "eagle:never-there"
"""No key of this name exists, so deleting it changes nothing. A replica refuses to, as it refuses
every write; otherwise it would answer with outdated lengths after a failover."""


def fetch_queue(index: int) -> str:
    return f"fetch.{index}"


def rotate_queue(node: str) -> str:
    return f"rotate.{node}"


def fetch_queues(count: int) -> list[str]:
    return [fetch_queue(index) for index in range(count)]


def resolved(names: Iterable[str], *, fetch_queue_count: int, node: str) -> list[str]:
    """The queues that the names in a worker's `-Q` stand for, in order, each once."""
    groups = {FETCH: fetch_queues(fetch_queue_count), ROTATE: [rotate_queue(node)]}
    return list(dict.fromkeys(queue for name in names for queue in groups.get(name, [name])))


def full_queues(waiting: Mapping[str, int], at_most: int) -> set[str]:
    """The queues in which at least an equal share of the `at_most` messages waits. So a queue that
    no worker takes from does not stop the others."""
    share = -(-at_most // len(waiting))
    return {queue for queue, messages in waiting.items() if messages >= share}


class Broker:
    """Reads the broker's Redis. Blocking."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        # A connection that lay idle may be closed, so one more try is made, at once. redis-py's own
        # ten take five seconds.
        self._redis = blocking_redis.client(
            address, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 1)
        )

    def waiting(self, queues: Iterable[str]) -> dict[str, int]:
        """By queue, how many messages no worker has taken yet. Raises RedisUnavailable."""
        names = list(queues)
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.delete(_MISSING_KEY)
            for name in names:
                pipeline.llen(name)
            _, *lengths = pipeline.execute()
            return dict(zip(names, map(int, lengths), strict=True))
        except redis.RedisError as exc:
            raise RedisUnavailable(f"the broker at {self._address} does not answer: {exc}") from exc

    def close(self) -> None:
        self._redis.close()
