"""kombu's Redis channel, and how kombu finds a transport."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu import transport
from kombu.connection import Connection
from kombu.transport.redis import Channel, Transport

from tests.canaries.advice import advice_of

MODULE = "workers/process/celery_transport.py"


class RecordingClient:
    """Notes what is pushed, in the place of Redis."""

    def __init__(self) -> None:
        self.pushed: list[str] = []

    def lpush(self, queue: str, _: str) -> None:
        self.pushed.append(queue)


class RecordingChannel(Channel):
    def __init__(self) -> None:
        self._expires: dict[str, int] = {}
        self.client_of_test = RecordingClient()

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[RecordingClient]:
        yield client or self.client_of_test


def test_a_message_is_pushed_to_the_left_of_a_list_of_the_queues_name() -> None:
    """For this reason alone, `LTRIM queue 0 n` keeps the newest messages."""
    with advice_of(MODULE):
        channel: Any = RecordingChannel()
        channel._put("dispatch", {"body": "", "properties": {"priority": 0}})
        assert channel.client_of_test.pushed == ["dispatch"]


def test_a_channel_names_the_class_of_its_connections() -> None:
    with advice_of(MODULE):
        connection: Any = Connection("redis://127.0.0.1:1/0")  # type: ignore[no-untyped-call]
        channel: Any = object.__new__(Channel)
        channel.connection = connection.transport
        assert channel._connparams(asynchronous=False)["connection_class"]


def test_a_channel_takes_its_options_from_the_transport_options() -> None:
    with advice_of(MODULE):
        assert "visibility_timeout" in Channel.from_transport_options
        assert Transport.Channel is Channel


def test_the_schemes_of_redis_lead_to_a_transport_by_its_name() -> None:
    with advice_of(MODULE):
        assert isinstance(transport._transport_cache, dict)
        for scheme in ("redis", "rediss"):
            assert isinstance(transport.TRANSPORT_ALIASES[scheme], str)
