"""The private Redis: which server, which version, and that it keeps what it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from eagle_logger.errors import ConfigurationError, RedisUnavailable
from tests.support.redis_server import redis_binary
from workers.up.ports import free_port
from workers.up.redis_server import PrivateRedis, await_redis, find_server, note_version, server_version


def fake_server(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=0'\n")
    path.chmod(0o755)
    return path


def test_the_one_on_path_is_taken_but_never_this_environments_own(tmp_path: Path) -> None:
    wanted = fake_server(tmp_path / "usr", "7.4.1")
    own = str(Path(sys.prefix) / "bin")
    assert find_server(os.pathsep.join([own, "", str(tmp_path / "usr")])) == str(wanted)
    assert Path(find_server(own)).parent != Path(own)


def test_without_any_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"EAGLE_REDIS_URL.*apt install"):
        find_server("")


def test_versions(tmp_path: Path) -> None:
    assert server_version(str(fake_server(tmp_path, "7.2.10"))) == (7, 2, 10)
    with pytest.raises(ConfigurationError, match=r"6\.2 or newer"):
        server_version(str(fake_server(tmp_path, "6.0.16")))
    with pytest.raises(ConfigurationError, match="does not say"):
        server_version("/bin/echo")
    with pytest.raises(ConfigurationError, match="does not run"):
        server_version(str(tmp_path / "nowhere"))


def test_an_older_server_than_last_time_is_refused(tmp_path: Path) -> None:
    noted = tmp_path / "version"
    note_version(noted, (7, 0, 15))
    note_version(noted, (7, 0, 15))
    with pytest.raises(ConfigurationError, match=r"written by Redis 7\.0\.15; this one, 6\.2\.9, is older"):
        note_version(noted, (6, 2, 9))
    note_version(noted, (7, 4, 0))
    assert noted.read_text() == "7.4.0\n"


def test_it_keeps_what_it_is_given_behind_a_password(tmp_path: Path) -> None:
    redis_binary()  # skips without one
    data = tmp_path / 'my "data"'
    first = PrivateRedis(data, None)
    for number, private in enumerate([first, PrivateRedis(data, first.url)]):
        assert private.url == first.url, "same port, same password"
        with subprocess.Popen(private.program.command, stdout=subprocess.DEVNULL) as server:
            await_redis(private.url, 20)
            with redis.Redis.from_url(private.url) as client, redis.Redis(port=private.port) as stranger:
                assert client.get("kept") == (b"yes" if number else None)
                client.set("kept", "yes")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
                with pytest.raises(redis.AuthenticationError):
                    stranger.ping()
                with pytest.raises(RedisUnavailable, match="refuses"):
                    await_redis(f"redis://127.0.0.1:{private.port}/0", 5)
            server.terminate()
    assert (data / "redis" / "redis.conf").stat().st_mode & 0o777 == 0o600
    assert not any(private.url.split("@")[0].removeprefix("redis://:") in word for word in first.program.command)


def test_waiting_ends(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailable):
        await_redis(f"redis://127.0.0.1:{free_port()}/0", 0.1)
