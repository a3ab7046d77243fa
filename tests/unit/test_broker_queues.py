"""The queues that a worker's `-Q` stands for, and which of them are full."""

from __future__ import annotations

import socket

import pytest
import redis

from eagle_logger.broker_queues import Broker, full_queues, resolved
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable


def test_fetch_stands_for_every_fetch_queue_and_rotate_for_this_nodes_queue() -> None:
    assert resolved(["fetch", "rotate"], fetch_queue_count=2, node="a1") == [
        "fetch.0",
        "fetch.1",
        "rotate.a1",
    ]


def test_other_names_stand_for_themselves_and_each_queue_comes_once() -> None:
    assert resolved(["fetch.1", "adhoc", "fetch"], fetch_queue_count=2, node="a1") == [
        "fetch.1",
        "adhoc",
        "fetch.0",
    ]


def test_a_queue_is_full_once_its_share_of_the_messages_waits_in_it() -> None:
    assert full_queues({"fetch.0": 2, "fetch.1": 334, "fetch.2": 333}, 1000) == {"fetch.1"}
    assert full_queues({"fetch.0": 1000}, 1000) == {"fetch.0"}
    assert full_queues({"fetch.0": 999}, 1000) == set()


def test_a_broker_that_is_away_is_tried_twice_and_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    def refuse(connection: redis.Connection) -> socket.socket:
        tries.append(connection.host)
        raise ConnectionRefusedError

    monkeypatch.setattr(redis.Connection, "_connect", refuse)
    monkeypatch.setattr("redis.retry.sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(RedisUnavailable):
        Broker(RedisAddress.parse("redis://127.0.0.1:6379/1")).waiting(["adhoc"])
    assert tries == ["127.0.0.1"] * 2
