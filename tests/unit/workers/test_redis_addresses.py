"""From each form of an address that the settings take, every program reads the same place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flower.utils.broker
import pytest
from celery import Celery

from eagle_logger import wiring
from eagle_logger.broker_queues import Broker
from eagle_logger.core.redis_address import TLS_OPTIONS, RedisAddress
from eagle_logger.network import blocking_redis
from eagle_logger.settings import Settings
from tests.unit.core.test_redis_address import ADDRESSES
from workers.app import make_app
from workers.bridge.publisher import make_publisher_app
from workers.process import flower_queues
from workers.process.celery_transport import broker_settings

ClientOptions = Mapping[str, Any]

flower_queues.install()


def store(settings: Settings) -> ClientOptions:
    fleet: Any = wiring.user_store(settings, passwords=False).fleet
    return _pool_options(fleet._redis._client)


def queue_lengths(settings: Settings) -> ClientOptions:
    return _pool_options(Broker(settings.broker_address)._redis)


def doctor_and_up(settings: Settings) -> ClientOptions:
    return _pool_options(blocking_redis.client(settings.broker_address))


def worker_and_inspect(settings: Settings) -> ClientOptions:
    return _kombu(make_app(settings), "connection_for_read")


def beat(settings: Settings) -> ClientOptions:
    return _kombu(make_app(settings), "connection_for_write")


def publisher(settings: Settings) -> ClientOptions:
    return _kombu(make_publisher_app(settings), "connection_for_write")


def flower_page(settings: Settings) -> ClientOptions:
    app = make_app(settings)
    with app.connection() as connection:  # as flower.views.BaseHandler.get_broker does
        counter = flower.utils.broker.Broker(
            connection.as_uri(include_password=True),
            http_api=None,
            broker_options=app.conf.broker_transport_options,
            broker_use_ssl=app.conf.broker_use_ssl,
        )
    return _pool_options(counter.redis)


PROGRAMS = [store, queue_lengths, doctor_and_up, worker_and_inspect, beat, publisher, flower_page]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("url", ADDRESSES)
def test_each_program_reads_the_same_place_from_an_address(
    url: str, program: Callable[[Settings], ClientOptions]
) -> None:
    elsewhere = "redis://elsewhere/0"
    settings = Settings(
        redis_url=url if program is store else elsewhere,
        broker_url=elsewhere if program is store else url,
    )
    assert _place(program(settings)) == ADDRESSES[url]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_each_program_verifies_certificates(program: Callable[[Settings], ClientOptions]) -> None:
    options = program(Settings(redis_url="rediss://h/0", broker_url="rediss://h/1"))
    assert options["ssl_cert_reqs"] == "required"
    assert options["ssl_check_hostname"] is True


def test_the_server_of_an_address_given_to_celery_is_verified() -> None:
    app = make_app(Settings(redis_url="redis://h/0"))
    with app.connection_for_read("rediss://other/1") as connection:
        assert connection.ssl == TLS_OPTIONS


def test_celery_has_no_tls_options_for_an_address_without_tls() -> None:
    assert broker_settings(Settings(redis_url="redis://h/0"))["broker_use_ssl"] is False


def _place(options: ClientOptions) -> RedisAddress:
    login: dict[str, Any] = {
        "username": options.get("username") or None,  # Flower says "" for none
        "password": options.get("password"),
        "database": int(options.get("db") or 0),
    }
    if "path" in options:
        return RedisAddress(socket=options["path"], **login)
    return RedisAddress(
        options["host"], int(options["port"]), tls="ssl_cert_reqs" in options, **login
    )


def _pool_options(client: Any) -> ClientOptions:
    options: ClientOptions = client.connection_pool.connection_kwargs
    return options


def _kombu(app: Celery, way: str) -> ClientOptions:
    """What kombu tells redis-py, without connecting."""
    with getattr(app, way)() as connection:
        channel: Any = object.__new__(connection.transport.Channel)
        channel.connection = connection.transport
        return dict(channel._connparams())
