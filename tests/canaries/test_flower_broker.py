"""The class with which Flower counts queues through a Unix socket."""

from __future__ import annotations

import inspect

from flower.utils import broker

from tests.canaries.advice import advice_of

MODULE = "workers/process/flower_queues.py"


def test_flower_counts_through_a_unix_socket_with_a_class_that_can_be_replaced() -> None:
    with advice_of(MODULE):
        assert issubclass(broker.RedisSocket, broker.RedisBase)
        assert "RedisSocket" in inspect.getsource(broker.Broker)


def test_the_class_takes_the_brokers_address_and_holds_its_client() -> None:
    with advice_of(MODULE):
        counter = broker.RedisBase("redis+socket:///tmp/a-socket", broker_options={})
        assert hasattr(counter, "redis")
        assert counter.socket_timeout > 0
