"""The address of a Redis database. It is read once, from any spelling that a setting may have. Each
program then gets the form that its own client understands.

An address holds a place and a login, nothing else. Time-outs and certificates are not read from it,
because the programs' clients read such options differently, or not at all.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

DEFAULT_HOST, DEFAULT_PORT = "localhost", 6379

TLS_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        # Without these flags, every CPython accepts the same certificates: network/tls.py.
        "ssl_exclude_verify_flags": [
            ssl.VerifyFlags.VERIFY_X509_STRICT,
            ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN,
        ],
    }
)
"""redis-py's options that make a server prove its identity."""

_TCP, _TLS, _SOCKET = ("redis",), ("rediss",), ("unix", "redis+socket")
_DATABASE_OPTIONS = ("db", "virtual_host")
_HARMLESS_OPTIONS = {
    "ssl_cert_reqs": ("required", "cert_required"),
    "ssl_check_hostname": ("true", "1", "yes"),
}
"""Options, with values that ask for what every client does anyway."""
_KNOWN_OPTIONS = frozenset(
    (
        *("client_name", "decode_responses", "health_check_interval", "max_connections"),
        *("password", "protocol", "retry_on_timeout", "socket_connect_timeout"),
        *("socket_keepalive", "socket_timeout", "timeout", "username"),
    )
)
"""Options whose names an error message may show. Any other text behind a `?` may be part of a
password."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One database of one server. `socket` is a path; if it is set, `host`, `port` and `tls` mean
    nothing. `ca` is a file of certificates (PEM) that clients trust beside the system's."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    socket: str | None = None
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    ca: str | None = None

    @classmethod
    def parse(cls, url: str, *, ca: str | None = None) -> Self:
        """Raises ValueError, which says what to correct and never shows what may be a password."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ValueError(
                "is no URL: its host and port should read host:port, an IPv6 address stands in "
                "brackets, and a password is written with percent escapes (%2F for a slash)"
            ) from None
        if parts.scheme == "sentinel":
            raise ValueError(
                "names a Sentinel, which is not supported; name a host that always leads to the "
                "primary (see docs/how-to/use-your-own-redis.md)"
            )
        if parts.scheme not in (*_TCP, *_TLS, *_SOCKET):
            raise ValueError("must begin with redis:// or rediss:// or unix://")
        if parts.fragment:
            raise ValueError("has a # in it: in a password it is written %23")
        options = _options(parts)
        common: dict[str, Any] = {
            "username": unquote(parts.username or "") or None,
            "password": unquote(parts.password or "") or None,
        }
        if parts.scheme in _SOCKET:
            return cls(socket=_socket(parts), database=_database(options, ""), ca=None, **common)
        if port == 0:
            raise ValueError("names port 0")
        host = unquote(parts.hostname or "") or DEFAULT_HOST
        if any(character in host for character in ";, "):
            raise ValueError("names more than one host: name one that always leads to the primary")
        tls = parts.scheme in _TLS
        database = _database(options, unquote(parts.path))
        return cls(
            host=host,
            port=port or DEFAULT_PORT,
            tls=tls,
            database=database,
            ca=ca if tls else None,
            **common,
        )

    def on_database(self, number: int) -> Self:
        """Another database of the same server."""
        return replace(self, database=number)

    def is_same_database(self, other: RedisAddress) -> bool:
        """Whether both lead to one database. Login and TLS do not matter."""
        return (self._server, self.database) == (other._server, other.database)

    @property
    def url(self) -> str:
        """The address as redis-py reads it. Certificates are in `tls_options`."""
        if self.socket is not None:
            return f"unix://{self._login()}{quote(self.socket)}?db={self.database}"
        return f"{'rediss' if self.tls else 'redis'}://{self._login()}{self._place}/{self.database}"

    @property
    def celery_url(self) -> str:
        """The address as Celery and Flower read it. Certificates are in `tls_options`."""
        if self.socket is not None:
            place = f"{self._login()}{quote(self.socket)}"
            return f"redis+socket://{place}?virtual_host={self.database}"
        return self.url

    @property
    def tls_options(self) -> dict[str, Any]:
        """Options for redis-py and Celery's `broker_use_ssl` that make the server prove its
        identity. Empty without TLS."""
        if not self.tls:
            return {}
        return {**TLS_OPTIONS, **({"ssl_ca_certs": self.ca} if self.ca else {})}

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of `redis.Redis`."""
        login = {"db": self.database, "username": self.username, "password": self.password}
        if self.socket is not None:
            return {"unix_socket_path": self.socket, **login}
        return {"host": self.host, "port": self.port, "ssl": self.tls, **self.tls_options, **login}

    def __str__(self) -> str:
        """The address without its password, fit for logs and messages."""
        hidden = replace(self, password="***" if self.password else None)
        return hidden.url.replace("%2A%2A%2A", "***")

    @property
    def _server(self) -> tuple[str, int]:
        return (self.socket, 0) if self.socket is not None else (self.host, self.port)

    @property
    def _place(self) -> str:
        host = f"[{quote(self.host, safe=':')}]" if ":" in self.host else quote(self.host)
        return f"{host}:{self.port}"

    def _login(self) -> str:
        if self.username is None and self.password is None:
            return ""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"{quote(self.username or '', safe='')}{password}@"


def _options(parts: SplitResult) -> dict[str, str]:
    """The options that name a database. Raises ValueError if there is any other option."""
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if value.lower() in _HARMLESS_OPTIONS.get(name, ()):
            continue
        if name.startswith("ssl_"):
            raise ValueError(
                "has an option about certificates: they are always verified; "
                "EAGLE_REDIS_CA names an authority of your own"
            )
        if name not in _DATABASE_OPTIONS:
            shown = name if name in _KNOWN_OPTIONS else "an option"
            raise ValueError(f"has {shown} behind the ?, where only db is taken: leave it out")
        if options:
            raise ValueError("names its database twice")
        options[name] = value
    return options


def _socket(parts: SplitResult) -> str:
    if parts.netloc.rpartition("@")[2]:
        raise ValueError("needs a third slash and a path from the root: unix:///run/redis.sock")
    if len(parts.path) < 2:
        raise ValueError("names no socket: it should read unix:///run/redis.sock")
    return unquote(parts.path)


def _database(options: dict[str, str], path: str) -> int:
    named = [*options.values(), *([path.removeprefix("/")] if path not in {"", "/"} else [])]
    if len(set(named)) > 1:
        raise ValueError("names two databases, one behind the slash and one behind the ?")
    number = named[0] if named else "0"
    if not (number.isascii() and number.isdigit()):
        raise ValueError("names a database that is no number: it should read redis://host:port/0")
    return int(number)
