from __future__ import annotations

from pathlib import Path

import pytest
import redis

from tests.support.redis_server import RedisServer


@pytest.mark.parametrize("_again", [1, 2])
def test_every_test_gets_an_empty_redis(redis_url: str, _again: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind", 1)


def test_a_server_of_a_test_keeps_its_port(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path, "--appendonly", "yes") as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.set("kept", 1)
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        server.start()
        assert client.get("kept") == b"1"
