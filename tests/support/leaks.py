"""Looks for secrets where none may show: in files, in Redis, on command lines, in answers."""

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
"""Where something was found, and all of it."""


def shown(secrets: Mapping[str, str], places: Iterable[Place]) -> Iterator[str]:
    """A line for each secret that shows, in any of its spellings; `secrets`: what each is → the
    secret itself."""
    spelled = {what: spellings(secret) for what, secret in secrets.items()}
    for where, content in places:
        for what, spelt in spelled.items():
            if any(spelling in content for spelling in spelt):
                yield f"{what} shows in {where}"


def spellings(secret: str) -> list[bytes]:
    """As it is, and as XML, JSON, a URL or a header with a password would have it."""
    plain = secret.encode()
    # In base64 a text looks different at each of three places; its first and last letters depend on
    # its neighbours.
    coded = (
        [base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4] for shift in range(3)]
        if len(plain) > 8
        else []
    )
    others = (escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""))
    return list({plain, *(other.encode() for other in others), *coded})


def files(directory: Path, *, but: Collection[str] = ()) -> Iterator[Place]:
    """Every file below a directory, compressed ones unpacked too, but those of these names."""
    for path in sorted(directory.rglob("*")):
        if path.name in but:
            continue
        try:
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        except FileNotFoundError:  # something still runs
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
    """Every key of databases 0 and 1, with what it holds: users, state and Celery's messages."""
    for database in range(2):
        parts = urlsplit(url)._replace(path=f"/{database}")
        with redis.Redis.from_url(urlunsplit(parts)) as client:
            for key in client.scan_iter(count=1000):
                yield f"Redis, database {database}, {key!r}", key + b"\n" + _all_of(client, key)


def _all_of(client: Any, key: bytes) -> bytes:
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
            raise AssertionError(f"what is a {other!r}?")


def command_lines() -> Iterator[Place]:
    """Of every process on this machine, as everybody on it can see them."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield f"the command line of process {entry.name}", (entry / "cmdline").read_bytes()
            except OSError:
                continue
