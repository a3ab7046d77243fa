"""The private Redis (or Valkey) in the data directory, which `up` starts if EAGLE_REDIS_URL names
no other. It listens on loopback, asks for a password, and keeps every write in its append-only
file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.errors import RedisUnavailable
from workers.up.data_dir import read_or_make_secret, write_private_file
from workers.up.ports import free_port, port_of
from workers.up.programs import REDIS, Program, Stage
from workers.up.servers import find_server, version_note


class PrivateRedis:
    """Where the private Redis listens, and how it is started.

    The constructor writes its configuration, and notes which release will write the files. It
    raises ConfigurationError if there is no server, or none that can read the files in the data
    directory. `former_url`: where it listened last time.
    """

    def __init__(self, data_dir: Path, former_url: str | None) -> None:
        self.directory = data_dir.absolute() / "redis"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.server = find_server(self.directory)
        write_private_file(self.directory / "version", version_note(self.server.release))
        self._password = read_or_make_secret(self.directory / "password")
        self.port = free_port(port_of(former_url))
        configuration = self.directory / "redis.conf"
        write_private_file(configuration, _configuration(self.directory, self.port, self._password))
        self.program = Program(
            REDIS, [self.server.path, str(configuration)], Stage.REDIS, stop_within=60.0
        )

    @property
    def url(self) -> str:
        return f"redis://:{quote(self._password, safe='')}@127.0.0.1:{self.port}/0"


def await_redis(
    address: RedisAddress, seconds: float, still_wanted: Callable[[], None] = lambda: None
) -> None:
    """Wait until Redis answers and has read its files. Raises RedisUnavailable, and whatever
    `still_wanted` raises, which is called before each try."""
    until = time.monotonic() + seconds
    # This loop tries again, so redis-py must not: its own retries hide a refused password for
    # seconds.
    no_retry = Retry(NoBackoff(), 0)
    with redis.Redis(
        **address.client_options, socket_timeout=5, socket_connect_timeout=5, retry=no_retry
    ) as client:
        while True:
            still_wanted()
            try:
                client.ping()
                return
            except redis.AuthenticationError as exc:
                raise RedisUnavailable(f"Redis refuses the password: {exc}") from exc
            except redis.RedisError as exc:
                if time.monotonic() > until:
                    raise RedisUnavailable(f"Redis does not answer: {exc}") from exc
            time.sleep(0.05)


def _configuration(directory: Path, port: int, password: str) -> str:
    quoted_directory = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
bind 127.0.0.1
port {port}
dir "{quoted_directory}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""
