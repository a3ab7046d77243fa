"""Celery's connections to its broker (the address, how soon a dead connection is noticed, how long
a queue may grow), and Celery's messages."""

from __future__ import annotations

import time
from typing import Any

import kombu.transport
import structlog
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis

from eagle_logger.broker_queues import ADHOC, DISPATCH
from eagle_logger.core.redis_address import TLS_OPTIONS
from eagle_logger.network.blocking_redis import leaving_wrong_servers
from eagle_logger.settings import Settings

_log = structlog.get_logger("eagle_logger.broker")

LONGEST_DISPATCH_QUEUE = 10
"""Messages: ten seconds of beat's. The newest one does the work of all before it."""

_TRANSPORT_OPTIONS: dict[str, Any] = {
    # A BRPOP that is not answered for this long, and a second, is on a half-open connection; looked
    # for as often. kombu's own 25 let a worker live and consume nothing for a minute.
    "health_check_interval": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    # What waits on a half-open connection holds up everything else, one such connection after the
    # other.
    "socket_timeout": 5,
    "unacked_restore_throttle": 1,
    # Longer than any task. What comes again after it is harmless: users are claimed, shards locked.
    "visibility_timeout": 1200,
}

_FIRST_PAUSE, _LONGER_BY, _LONGEST_PAUSE = 0.5, 0.5, 2.0
"""Seconds between two tries to connect. Left to itself, kombu waits up to half a minute after a
long outage."""

_WARNING_EVERY = 60.0
"""Seconds between two warnings about one queue."""


def broker_settings(settings: Settings) -> dict[str, Any]:
    """Celery's settings about its broker."""
    address = settings.broker_address
    longest = {DISPATCH: LONGEST_DISPATCH_QUEUE, ADHOC: settings.max_waiting_messages}
    return {
        "broker_url": address.celery_url,
        "broker_use_ssl": address.tls_options or False,
        "broker_transport_options": {**_TRANSPORT_OPTIONS, "longest_queues": longest},
    }


class BoundedChannel(kombu_redis.Channel):
    """Keeps the newest messages of a queue, `longest_queues[name]` at most, and leaves servers that
    are not the primary.

    Otherwise a queue whose consumer is away would fill Redis' memory. Dropped messages cost
    nothing: users whose message is gone fall due again when their lease ends, and beat's next
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
    # A connection class of this program is not enough: kombu's pools, which publish, make
    # connections of another class.
    kombu.transport.TRANSPORT_ALIASES[_scheme] = f"{__name__}:{BoundedTransport.__name__}"
    kombu.transport._transport_cache.pop(_scheme, None)  # noqa: SLF001  (kombu may have loaded one before)


class BrokerConnection(Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        pauses = {
            "interval_start": _FIRST_PAUSE,
            "interval_step": _LONGER_BY,
            "interval_max": _LONGEST_PAUSE,
        }
        return super().ensure_connection(*args, **(pauses | kwargs))  # type: ignore[no-untyped-call]  # kombu has no types

    def _init_params(self, **parameters: Any) -> None:  # type: ignore[override]  # by name, as kombu calls it
        """Verify certificates. For an address that `celery -b` gives, kombu would verify none."""
        if parameters["transport"] == "rediss" and not parameters["ssl"]:
            parameters["ssl"] = dict(TLS_OPTIONS)
        super()._init_params(**parameters)  # type: ignore[no-untyped-call]


class Messaging(AMQP):  # type: ignore[misc]  # Celery has no types
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
        """With the arguments' text in full, for Flower finds a message by any of its users.
        Celery's own, which looks for what might be long or nested, ends after 1024 characters and
        took half of what sending a message of hundreds cost."""
        options["argsrepr"] = options.get("argsrepr") or repr(args or ())
        return super().as_task_v2(task_id, name, args, kwargs, *rest, **options)


class _DroppedMessages:
    """Counts what queues dropped, and warns now and then."""

    def __init__(self) -> None:
        self._since_warning: dict[str, int] = {}
        self._warned_at: dict[str, float] = {}

    def add(self, queue: str, messages: int) -> None:
        now = time.monotonic()
        self._since_warning[queue] = self._since_warning.get(queue, 0) + messages
        if now - self._warned_at.get(queue, -_WARNING_EVERY) >= _WARNING_EVERY:
            self._warned_at[queue] = now
            detail = "no worker takes them, or not as fast as they come; no reading is lost"
            _log.warning(
                "old_messages_dropped",
                queue=queue,
                messages=self._since_warning.pop(queue),
                detail=detail,
            )


_dropped = _DroppedMessages()
