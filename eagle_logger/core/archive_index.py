"""The index of the archive: which objects hold an hour's readings, so that nobody has to list them.

An index object is gzipped JSON lines: a head, then one line for each object that it names:

    {"v":1,"node":"0123456789ab","hour":"2015-03-10-17","number":0,"entries":1,"waiting":0,
     "complete":true}
    {"key":"cloud_id=002738/date=2015-03-10/002738-2015-03-10-17.jsonl.gz","rows":600,
     "first":"2015-03-10T17:00:01Z","last":"2015-03-10T17:59:55Z","size":8713,
     "plain-sha256":"…","object-sha256":"…"}

Index objects of one hour and writer are numbered, and are never rewritten: what comes later is the
next number. docs/reference/index.md describes the format for those who read it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.paths import IndexKey, parse_archive_key
from eagle_logger.core.sealing import OBJECT_DIGEST, PLAIN_DIGEST, gunzipped

VERSION = 1
REBUILT = "rebuilt"
"""Stands where a node's name stands, in the index objects that `index rebuild` writes."""
MOST_ENTRIES = 20_000
"""Objects that one index object names. More go to the next number. At 400 bytes a line, the largest
index object unpacks to half of what a reader takes (`sealing.LARGEST_OBJECT`)."""
_GZIP_LEVEL, _GZIP_WBITS = 6, 31
_HEX = frozenset("0123456789abcdef")
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True, order=True)
class IndexEntry:
    """What the index says of one object."""

    key: str
    rows: int
    first: int
    """The time of the first reading (Unix seconds)."""
    last: int
    size: int
    """Bytes of the object."""
    plain_sha256: str
    """Hex, of the lines."""
    object_sha256: str
    """Hex, of the object."""

    def to_json(self) -> bytes:
        """The line, without its newline. Equal entries give equal lines."""
        # Spelled out, because an hour has as many of these as there are homes.
        return (
            f'{{"key":"{self.key}","rows":{self.rows},'
            f'"first":"{iso(self.first)}","last":"{iso(self.last)}","size":{self.size},'
            f'"{PLAIN_DIGEST}":"{self.plain_sha256}","{OBJECT_DIGEST}":"{self.object_sha256}"}}'
        ).encode()

    @classmethod
    def from_metadata(cls, key: str, size: int, metadata: Mapping[str, str]) -> IndexEntry:
        """The entry of an object, from what was put with it. Raises ValueError if that is not what
        this program puts."""
        try:
            return _checked(
                cls(
                    key=key,
                    rows=int(metadata["rows"]),
                    first=_unix(metadata["first-time"]),
                    last=_unix(metadata["last-time"]),
                    size=size,
                    plain_sha256=metadata[PLAIN_DIGEST],
                    object_sha256=metadata[OBJECT_DIGEST],
                )
            )
        except (KeyError, OverflowError) as exc:
            raise ValueError(f"its metadata lacks {exc}") from None

    @classmethod
    def from_json(cls, line: bytes) -> IndexEntry:
        """Members that only a newer version knows are ignored. Raises ValueError."""
        return cls.from_members(_members(line))

    @classmethod
    def from_members(cls, data: Mapping[str, Any]) -> IndexEntry:
        """Read the members of a line. Raises ValueError."""
        try:
            return _checked(
                cls(
                    key=_of_type(str, data["key"]),
                    rows=_of_type(int, data["rows"]),
                    first=_unix(data["first"]),
                    last=_unix(data["last"]),
                    size=_of_type(int, data["size"]),
                    plain_sha256=_of_type(str, data[PLAIN_DIGEST]),
                    object_sha256=_of_type(str, data[OBJECT_DIGEST]),
                )
            )
        except (KeyError, TypeError, OverflowError) as exc:
            raise ValueError(f"not a line of an index: {exc}") from None


@dataclass(frozen=True, slots=True)
class IndexHead:
    """The first line of an index object."""

    name: IndexKey
    entries: int
    """How many lines follow."""
    waiting: int
    """Log files of the hour on the writer's disk that were not archived when this was written."""
    complete: bool
    """The hour is over, nothing of it waits on the writer's disk, and the writer's index objects up
    to this number name all that it archived of the hour. Readings may still come late."""

    def to_json(self) -> bytes:
        members = {
            "v": VERSION,
            "node": self.name.node,
            "hour": self.name.hour.name,
            "number": self.name.number,
            "entries": self.entries,
            "waiting": self.waiting,
            "complete": self.complete,
        }
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, line: bytes) -> IndexHead:
        """Members that only a newer version knows are ignored. Raises ValueError."""
        data = _members(line)
        if data.get("v") != VERSION:
            raise ValueError(f"not an index of version {VERSION}")
        try:
            node = _of_type(str, data["node"])
            name = IndexKey(Hour.parse(data["hour"]), node, _of_type(int, data["number"]))
            return cls(
                name=name,
                entries=_of_type(int, data["entries"]),
                waiting=_of_type(int, data["waiting"]),
                complete=_of_type(bool, data["complete"]),
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not the head of an index: {exc}") from None


@dataclass(frozen=True, slots=True)
class IndexPart:
    """What one index object holds."""

    head: IndexHead
    entries: tuple[IndexEntry, ...]

    def plain(self) -> bytes:
        lines = [self.head.to_json(), *(entry.to_json() for entry in self.entries)]
        return b"".join(line + b"\n" for line in lines)

    @property
    def keys(self) -> AbstractSet[str]:
        return {entry.key for entry in self.entries}


@dataclass(frozen=True, slots=True)
class EncodedIndexPart:
    """An index object as it is put. Equal content gives equal bytes."""

    body: bytes
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, part: IndexPart) -> EncodedIndexPart:
        plain = part.plain()
        body = zlib.compress(plain, _GZIP_LEVEL, _GZIP_WBITS)
        metadata = {
            "schema-version": str(VERSION),
            "entries": str(len(part.entries)),
            PLAIN_DIGEST: hashlib.sha256(plain).hexdigest(),
            OBJECT_DIGEST: hashlib.sha256(body).hexdigest(),
        }
        return cls(body, metadata)


def decoded(body: bytes, name: IndexKey) -> IndexPart:
    """What the index object of this name holds. Raises ValueError for anything that is not whole,
    and for what belongs to another name."""
    plain = gunzipped(body)
    if not plain.endswith(b"\n"):
        raise ValueError("its last line is cut short")
    first, *lines = plain.splitlines()
    head = IndexHead.from_json(first)
    if head.name != name:
        raise ValueError(f"it says that it is {head.name.key}")
    if head.entries != len(lines):
        raise ValueError(f"it says that it has {head.entries} lines, and has {len(lines)}")
    entries = tuple(IndexEntry.from_json(line) for line in lines)
    for entry in entries:
        named = parse_archive_key(entry.key)
        if named is None or named[1] != name.hour:
            raise ValueError(f"it names {entry.key!r}, which is no part of this hour")
    return IndexPart(head, entries)


def next_index_part(
    name: IndexKey, entries: Iterable[IndexEntry], *, waiting: int, complete: bool
) -> IndexPart:
    """The index object of this name, given all entries that no earlier one has: as many as go into
    one, in order of their keys. It is `complete` only if no entry is left over."""
    in_order = sorted(entries)
    chunk = tuple(in_order)[:MOST_ENTRIES]
    is_last = len(chunk) == len(in_order)
    return IndexPart(IndexHead(name, len(chunk), waiting, complete and is_last), chunk)


def _checked(entry: IndexEntry) -> IndexEntry:
    if parse_archive_key(entry.key) is None:
        raise ValueError(f"{entry.key!r} is no key of a part")
    if entry.rows < 0 or entry.size < 0:
        raise ValueError("a negative number")
    for digest in (entry.plain_sha256, entry.object_sha256):
        if len(digest) != _SHA256_DIGITS or not _HEX.issuperset(digest):
            raise ValueError(f"{digest[:80]!r} is no SHA-256 in hex")
    return entry


def _unix(time: Any) -> int:
    return int(datetime.fromisoformat(_of_type(str, time)).timestamp())


def _of_type(wanted: type, value: Any) -> Any:
    if type(value) is not wanted:
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    return value


def _members(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except RecursionError:
        raise ValueError("not a line of an index: nested too deep") from None
    if not isinstance(data, dict):
        raise ValueError("not a line of an index")
    return data
