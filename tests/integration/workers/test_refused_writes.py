"""The broker's Redis refuses every write for a while, because its disk or its memory is full. The
worker and beat live through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from eagle_logger.broker_queues import DISPATCH
from tests.support.polling import until
from tests.support.programs import BEAT, WORKER, Programs, settings_of_workers
from tests.support.redis_server import RedisServer
from tests.support.volumes import fill, tmpfs


@contextmanager
def full_disk(client: redis.Redis, volume: Path) -> Iterator[None]:
    ballast = fill(volume)
    yield
    ballast.unlink()


@contextmanager
def full_memory(client: redis.Redis, volume: Path) -> Iterator[None]:
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


def refuses(client: redis.Redis) -> bool:
    try:
        client.set("a-write", 1)
    except redis.ResponseError:
        return True
    return False


@pytest.mark.parametrize(
    ("full", "logged"), [(full_disk, "Connection to broker lost"), (full_memory, "out of memory")]
)
async def test_a_worker_survives_a_broker_that_refuses_writes(
    full: Callable[[redis.Redis, Path], AbstractContextManager[None]], logged: str, tmp_path: Path
) -> None:
    with (
        tmpfs(tmp_path / "volume", "8m") as volume,
        RedisServer(volume, "--appendonly", "yes") as server,
    ):
        environment = settings_of_workers(server.url, tmp_path)
        with Programs(tmp_path, environment) as programs, redis.Redis(port=server.port) as client:
            programs.celery("worker", *WORKER)
            programs.celery("beat", *BEAT)
            await until(lambda: bool(client.hexists("eagle:progress", DISPATCH)))
            with full(client, volume):
                await until(lambda: refuses(client))
                await until(
                    lambda: logged in programs.output("worker") or not programs.runs("worker")
                )
                assert programs.runs("worker")
            await until(lambda: not refuses(client))
            client.hdel("eagle:progress", DISPATCH)
            await until(lambda: bool(client.hexists("eagle:progress", DISPATCH)))
            assert programs.runs("worker")
            assert programs.runs("beat")


async def test_a_worker_survives_a_message_that_comes_while_the_memory_is_full(
    tmp_path: Path,
) -> None:
    """Redis gives a message away even then, but it refuses the note that a worker has it."""
    with RedisServer(tmp_path) as server:
        environment = settings_of_workers(server.url, tmp_path)
        with (
            Programs(tmp_path, environment) as programs,
            redis.Redis(port=server.port) as client,
            redis.Redis(port=server.port, db=1) as broker,
        ):
            programs.celery("beat", *BEAT)
            await until(lambda: bool(broker.copy(DISPATCH, "a copy")))
            programs.celery("worker", *WORKER)
            await until(lambda: bool(client.hexists("eagle:progress", DISPATCH)))
            client.config_set("maxmemory", 1)
            await until(lambda: refuses(client))
            broker.rename("a copy", DISPATCH)  # a push would be refused
            await until(
                lambda: (
                    "Connection to broker lost" in programs.output("worker")
                    or not programs.runs("worker")
                )
            )
            client.config_set("maxmemory", 0)
            client.hdel("eagle:progress", DISPATCH)
            await until(lambda: bool(client.hexists("eagle:progress", DISPATCH)))
            assert programs.runs("worker")
