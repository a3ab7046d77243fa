"""Celery's connections to its broker (how soon a broker that was away, or a connection that went dead, is noticed), and its
messages."""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection

TRANSPORT_OPTIONS: dict[str, Any] = {
    # A BRPOP that is not answered for this long, and a second, is on a half-open connection; looked for as often. kombu's own
    # 25 let a worker live and consume nothing for a minute.
    "health_check_interval": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    # What waits on a half-open connection holds up everything else, one such connection after the other.
    "socket_timeout": 5,
    "unacked_restore_throttle": 1,
    # Longer than any task. What comes again after it is harmless: users are claimed, shards locked.
    "visibility_timeout": 1200,
}

_FIRST_PAUSE, _LONGER_BY, _LONGEST_PAUSE = 0.5, 0.5, 2.0
"""Seconds between two tries to connect. Left to itself, kombu waits up to half a minute after a long outage."""


class BrokerConnection(Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        pauses = {"interval_start": _FIRST_PAUSE, "interval_step": _LONGER_BY, "interval_max": _LONGEST_PAUSE}
        return super().ensure_connection(*args, **(pauses | kwargs))  # type: ignore[no-untyped-call]  # kombu has no types


class Messaging(AMQP):  # type: ignore[misc]  # Celery has no types
    Connection = BrokerConnection

    def as_task_v2(self, task_id: str, name: str, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """With the arguments' text in full, for Flower finds a message by any of its users. Celery's own, which looks for what
        might be long or nested, ends after 1024 characters and took half of what sending a message of hundreds cost."""
        options["argsrepr"] = options.get("argsrepr") or repr(args or ())
        return super().as_task_v2(task_id, name, args, kwargs, *rest, **options)
