"""Searches for secrets where none may show: in files, Redis, command lines and answers."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import redis

Place = tuple[str, bytes]
"""The name of a place, and its whole content."""


def shown(secrets: Mapping[str, str], places: Iterable[Place]) -> Iterator[str]:
    """A line for each secret that a place shows, in any spelling. `secrets` maps a description to
    the secret."""
    spelled = {description: spellings(secret) for description, secret in secrets.items()}
    for where, content in places:
        for description, several in spelled.items():
            if any(spelling in content for spelling in several):
                yield f"{description} shows in {where}"


def spellings(secret: str) -> list[bytes]:
    """The secret as it is, and as XML, JSON, a URL or a header with a password would have it."""
    plain = secret.encode()
    # Base64 has three spellings of a text, one for each offset. The first and last letters depend
    # on the neighbours, so they are left out.
    coded = (
        [base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4] for shift in range(3)]
        if len(plain) > 8
        else []
    )
    others = (escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""))
    return list({plain, *(other.encode() for other in others), *coded})


def files(directory: Path, *, but: Collection[str] = ()) -> Iterator[Place]:
    """Every file below a directory except those of these names; compressed ones also unpacked."""
    for path in sorted(directory.rglob("*")):
        if path.name in but:
            continue
        try:
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        except FileNotFoundError:  # a running program has removed it
            continue
        yield str(path.relative_to(directory)), content
        if path.suffix == ".gz":
            yield f"{path.relative_to(directory)}, unpacked", _unpacked(content)


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return b""


def redis_content(url: str) -> Iterator[Place]:
    """Every key of databases 0 and 1 with its value: users, states and Celery's messages."""
    for database in range(2):
        parts = urlsplit(url)._replace(path=f"/{database}")
        with redis.Redis.from_url(urlunsplit(parts)) as client:
            for key in client.scan_iter(count=1000):
                yield f"Redis, database {database}, {key!r}", key + b"\n" + _value(client, key)


def _value(client: Any, key: bytes) -> bytes:
    match client.type(key):
        case b"string":
            return bytes(client.get(key) or b"")
        case b"hash":
            return b"\n".join(piece for pair in client.hgetall(key).items() for piece in pair)
        case b"zset":
            return b"\n".join(client.zrange(key, 0, -1))
        case b"set":
            return b"\n".join(client.smembers(key))
        case b"list":
            return b"\n".join(client.lrange(key, 0, -1))
        case b"none":
            return b""
        case other:
            raise AssertionError(f"no test reads a Redis {other!r} yet")


def command_lines() -> Iterator[Place]:
    """The command line of every process of this machine, which every user of it can see."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield f"the command line of process {entry.name}", (entry / "cmdline").read_bytes()
            except OSError:
                continue
