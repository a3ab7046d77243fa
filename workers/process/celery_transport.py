"""Celery's connections to its broker (the address, how soon a dead connection is noticed, how long
a queue may grow), and how Celery writes a message.

This module uses inner parts of kombu and Celery:

- **Which:** of kombu's Redis channel `_put`, `conn_or_acquire` and `_connparams`, and how kombu
  finds a transport by its name; of its connection `_init_params` and the pauses of
  `ensure_connection`; of Celery the class of the app's `amqp`, with `as_task_v2`.
- **Why, and what it saves:** `_put` bounds the queues of beat and of requests from outside, which
  would fill the users' Redis while a consumer is away for days. `_connparams` has connections
  leave a Redis that is no longer the primary; after a failover a worker would consume from it until
  a person restarts the worker. The pauses bring a worker back within two seconds of a long outage,
  not half a minute. `_init_params` verifies certificates for `celery -b rediss://…`. `as_task_v2`
  lets Flower find a message by any of its users.
- **When it breaks:** pyproject.toml allows one minor version of each, and the canaries
  `tests/canaries/test_kombu_channel.py`, `test_kombu_connection.py` and `test_celery_messages.py`
  show which part changed. Adapt this module to it. If that takes long: without `_put`, trim both
  queues in `dispatch`; without `_connparams`, restart the workers after a failover; without the
  pauses or `as_task_v2`, delete the override, and recovery is slower, or Flower finds fewer users;
  without `_init_params`, refuse `-b rediss://`, because the password would go to any server.
"""

from __future__ import annotations

import time
from typing import Any

import kombu.transport
import structlog
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis

from eagle_logger.broker_queues import ADHOC, DISPATCH, TABLES
from eagle_logger.core.redis_address import TLS_OPTIONS
from eagle_logger.network.blocking_redis import leaving_wrong_servers
from eagle_logger.settings import Settings

_log = structlog.get_logger("eagle_logger.broker")

LONGEST_DISPATCH_QUEUE = 10
"""Messages: ten seconds of beat's. The newest one does the work of all before it."""
LONGEST_TABLES_QUEUE = 1000
"""Messages: each bucket of two weeks' days, at 150 000 homes. What is cut is sent again."""

_TRANSPORT_OPTIONS: dict[str, Any] = {
    # kombu looks this often for a half-open connection: one whose BRPOP has had no answer for this
    # long, and a second. With kombu's own 25, a worker consumed nothing for a minute.
    "health_check_interval": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    # A call that waits on a half-open connection holds up everything else, and there may be several
    # such connections, one after the other.
    "socket_timeout": 5,
    "unacked_restore_throttle": 1,
    # Longer than any task. A message that comes again after it does no harm: users are claimed,
    # shards locked.
    "visibility_timeout": 1200,
}

_RECONNECT_PAUSES_S = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
"""The first pause between two tries to connect, what each further one adds, and the longest."""

_WARN_EVERY_S = 60.0
"""Between two warnings about one queue."""


def broker_settings(settings: Settings) -> dict[str, Any]:
    """Celery's settings about its broker."""
    address = settings.broker_address
    longest = {
        DISPATCH: LONGEST_DISPATCH_QUEUE,
        ADHOC: settings.max_waiting_messages,
        TABLES: LONGEST_TABLES_QUEUE,
    }
    return {
        "broker_url": address.celery_url,
        "broker_use_ssl": address.tls_options or False,
        "broker_transport_options": {**_TRANSPORT_OPTIONS, "longest_queues": longest},
    }


class BoundedChannel(kombu_redis.Channel):
    """Keeps the newest messages of a queue, `longest_queues[name]` at most, and leaves servers that
    are not the primary.

    A dropped message costs nothing: its users fall due again when their lease ends, and beat's next
    message does the work of the older ones.
    """

    longest_queues: dict[str, int] = {}  # noqa: RUF012  (kombu replaces it by the transport option)
    from_transport_options = (*kombu_redis.Channel.from_transport_options, "longest_queues")  # type: ignore[assignment]  # longer

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)  # type: ignore[no-untyped-call]  # kombu has no types
        longest = self.longest_queues.get(queue)
        if longest is not None:
            self._drop_oldest(queue, longest)

    def _drop_oldest(self, queue: str, longest: int) -> None:
        with self.conn_or_acquire() as client, client.pipeline() as pipeline:
            length, _ = pipeline.llen(queue).ltrim(queue, 0, longest - 1).execute()
        if length > longest:
            _dropped.add(queue, length - longest)

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return parameters | {
            "connection_class": leaving_wrong_servers(parameters["connection_class"])
        }


class BoundedTransport(kombu_redis.Transport):
    Channel = BoundedChannel


for _scheme in ("redis", "rediss"):
    # `BrokerConnection` cannot choose the transport: kombu's pools, which publish, make connections
    # of another class.
    kombu.transport.TRANSPORT_ALIASES[_scheme] = f"{__name__}:{BoundedTransport.__name__}"
    kombu.transport._transport_cache.pop(_scheme, None)  # noqa: SLF001  (kombu may have loaded one before)


class BrokerConnection(Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        return super().ensure_connection(*args, **(_RECONNECT_PAUSES_S | kwargs))  # type: ignore[no-untyped-call]  # kombu has no types

    def _init_params(self, **parameters: Any) -> None:  # type: ignore[override]  # by name, as kombu calls it
        """Verify certificates. kombu would verify none for an address that `celery -b` gives."""
        if parameters["transport"] == "rediss" and not parameters["ssl"]:
            parameters["ssl"] = dict(TLS_OPTIONS)
        super()._init_params(**parameters)  # type: ignore[no-untyped-call]


class BrokerAccess(AMQP):  # type: ignore[misc]  # Celery has no types
    """What Celery calls its `amqp`: how it connects to the broker and how it writes messages."""

    Connection = BrokerConnection

    def as_task_v2(
        self,
        task_id: str,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        *rest: Any,
        **options: Any,
    ) -> Any:
        """Write the arguments' text in full, so that Flower finds a message by any of its users.

        Celery's own text ends after 1024 characters. To make it, Celery looks for what is long or
        nested; that was half of the time of sending a message of hundreds of users.
        """
        options["argsrepr"] = options.get("argsrepr") or repr(args or ())
        return super().as_task_v2(task_id, name, args, kwargs, *rest, **options)


class _DroppedMessages:
    """Counts the messages that queues dropped, and warns now and then."""

    def __init__(self) -> None:
        self._since_warning: dict[str, int] = {}
        self._warned_at: dict[str, float] = {}

    def add(self, queue: str, messages: int) -> None:
        now = time.monotonic()
        self._since_warning[queue] = self._since_warning.get(queue, 0) + messages
        if now - self._warned_at.get(queue, -_WARN_EVERY_S) >= _WARN_EVERY_S:
            self._warned_at[queue] = now
            detail = "no worker takes them, or not as fast as they come; no reading is lost"
            _log.warning(
                "old_messages_dropped",
                queue=queue,
                messages=self._since_warning.pop(queue),
                detail=detail,
            )


_dropped = _DroppedMessages()
