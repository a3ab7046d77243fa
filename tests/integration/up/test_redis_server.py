"""The private Redis keeps what is written, and reads what an older server wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from workers.up.ports import free_port
from workers.up.redis_server import PrivateRedis, await_redis
from workers.up.servers import last_writer


def test_the_private_redis_keeps_what_is_written_and_asks_for_a_password(tmp_path: Path) -> None:
    data = tmp_path / 'my "data"'
    first = PrivateRedis(data, None)
    for number, private in enumerate([first, PrivateRedis(data, first.url)]):
        assert private.url == first.url, "same port, same password"
        with subprocess.Popen(private.program.command, stdout=subprocess.DEVNULL) as server:
            await_redis(RedisAddress.parse(private.url), 20)
            with (
                redis.Redis.from_url(private.url) as client,
                redis.Redis(port=private.port, retry=Retry(NoBackoff(), 0)) as stranger,
            ):
                assert client.get("kept") == (b"yes" if number else None)
                client.set("kept", "yes")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
                with pytest.raises(redis.AuthenticationError):
                    stranger.ping()
                with pytest.raises(RedisUnavailable, match="refuses"):
                    await_redis(RedisAddress("127.0.0.1", private.port), 5)
            server.terminate()
    assert (data / "redis" / "redis.conf").stat().st_mode & 0o777 == 0o600
    assert not any(
        private.url.split("@")[0].removeprefix("redis://:") in word
        for word in first.program.command
    )


def test_everything_that_redis_6_2_wrote_is_read(tmp_path: Path) -> None:
    """Earlier versions brought Redis 6.2 along, which kept one file: a rewritten part, and commands
    after it."""
    redis_directory = tmp_path / "redis"
    redis_directory.mkdir()
    shutil.copy(Path(__file__).with_name("redis-6.2.aof"), redis_directory / "appendonly.aof")
    (redis_directory / "version").write_text("6.2.14\n")
    private = PrivateRedis(tmp_path, None)
    with subprocess.Popen(private.program.command, stdout=subprocess.DEVNULL) as server:
        await_redis(RedisAddress.parse(private.url), 20)
        with redis.Redis.from_url(private.url) as client:
            assert client.hgetall("users") == {
                b"00ce69": b"in the rewritten part",
                b"00ce70": b"in the part after it",
            }
            assert client.zscore("due", "00ce69") == 1.5
        server.terminate()
    assert last_writer(redis_directory) == private.server.release, (
        "6.2 would read nothing there from now on"
    )


def test_waiting_for_a_redis_that_does_not_answer_ends(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable):
        await_redis(RedisAddress("127.0.0.1", free_port()), 0.1)
