"""From the lines of a log file to one part of the archive: in order, each reading once, nothing an
earlier part holds."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from eagle_logger.core.line_format import VERSION, parse_line, with_flag
from eagle_logger.core.line_parser import Identity, LogLine, read_lines, times_in_order
from eagle_logger.core.readings import Flag

_GZIP_LEVEL = 6
_GZIP = 31  # zlib's window size and header that mean a gzip member: no name, and the time is 0

LARGEST_HOUR = 4 << 20
"""Bytes of log lines of one user and hour on a log volume; further lines are not written. A home
that is asked every 6 seconds writes 240 KB, one that is asked every second 1 MB. Archiving a file
takes six to seven times its size in memory."""

LARGEST_OBJECT = 4 * LARGEST_HOUR
"""Bytes that are read of an object, packed or not. A part holds an hour's lines at most."""
_MOST_MEMBERS = 100
"""Gzip members of an object. This program writes one; other tools may join some."""

PLAIN_DIGEST = "plain-sha256"
OBJECT_DIGEST = "object-sha256"
"""Members of an object's metadata."""

Held = Mapping[Identity, AbstractSet[bytes]]
"""The values that earlier parts hold, by identity."""


@dataclass(frozen=True)
class Part:
    """What one object of a user's hour is to hold. `plain` is its lines, each with its newline."""

    plain: bytes
    rows: int
    first: str
    """Time of the first and of the last reading, ISO 8601 in UTC; "" without any."""
    last: str
    duplicates: int
    """Lines left out because an equal one is here."""
    archived: int
    """Lines left out because an earlier part holds them."""
    conflicts: int
    """Lines flagged because their identity occurs with another value."""
    digest: str = field(init=False)
    """SHA-256 (hex) of the plain lines: what decides whether two parts are the same. The object's
    own bytes may change with the library that compresses them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.plain).hexdigest())

    def compressed(self) -> bytes:
        """The object's bytes: the same every time."""
        return zlib.compress(self.plain, _GZIP_LEVEL, _GZIP)

    def metadata(self, body: bytes) -> dict[str, str]:
        """What the object says about itself, without being opened."""
        return {
            "schema-version": str(VERSION),
            "rows": str(self.rows),
            "first-time": self.first,
            "last-time": self.last,
            PLAIN_DIGEST: self.digest,
            OBJECT_DIGEST: hashlib.sha256(body).hexdigest(),
        }


class PartContent:
    """The lines of a user's log file, or of an object once it is opened, taken apart no further
    than is asked for. For one thread."""

    def __init__(self, plain: bytes, cloud_id: str) -> None:
        self._plain = plain
        self._cloud_id = cloud_id
        self._as_it_lies = _as_it_lies(plain, cloud_id)
        self._read: tuple[list[LogLine], list[tuple[bytes, str]]] | None = None

    @property
    def entries(self) -> list[LogLine]:
        return self._taken_apart()[0]

    @property
    def unreadable(self) -> list[tuple[bytes, str]]:
        """What is no line of this user's, each with the reason."""
        return [] if self._as_it_lies else self._taken_apart()[1]

    def part(self, held: Held) -> Part:
        """The next part that this makes, given what the parts before it hold."""
        return self._as_it_lies if self._as_it_lies and not held else part_of(self.entries, held)

    def _taken_apart(self) -> tuple[list[LogLine], list[tuple[bytes, str]]]:
        # Not a cached_property: before Python 3.12 that has one lock for all objects, and rotation
        # has many threads.
        if self._read is None:
            self._read = read_lines(self._plain, self._cloud_id)
        return self._read


def _as_it_lies(plain: bytes, cloud_id: str) -> Part | None:
    """The first part, if that is these very lines."""
    times = times_in_order(plain, cloud_id)
    return (
        Part(plain, len(times), times[0].decode(), times[-1].decode(), 0, 0, 0) if times else None
    )


def part_of(entries: Iterable[LogLine], held: Held) -> Part:
    """The next part of a user's hour, given its file's entries in any order and what the parts
    before it hold.

    Ordered by time, device, meter, kind and arrival. Of equal readings (identity and values) the
    one that arrived first is kept. Where one identity occurs with several values, here or in an
    earlier part, all are kept and flagged `conflict`.
    """
    kept: list[LogLine] = []
    disputed: set[Identity] = set()
    duplicates = archived = 0
    previous, values = None, set[bytes]()
    for entry in sorted(entries):
        identity = entry.identity
        if identity != previous:
            previous, values = identity, set()
        if entry.values in values:
            duplicates += 1
            continue
        values.add(entry.values)
        if len(values) > 1 or identity in held:
            disputed.add(identity)
        if entry.values in held.get(identity, ()):
            archived += 1
        else:
            kept.append(entry)
    conflicting = (
        [entry.identity in disputed for entry in kept] if disputed else [False] * len(kept)
    )
    texts = [
        _flagged(entry.text) if flag else entry.text
        for entry, flag in zip(kept, conflicting, strict=True)
    ]
    return Part(
        plain=b"".join(text + b"\n" for text in texts),
        rows=len(kept),
        first=kept[0].time.decode() if kept else "",
        last=kept[-1].time.decode() if kept else "",
        duplicates=duplicates,
        archived=archived,
        conflicts=sum(conflicting),
    )


def _flagged(text: bytes) -> bytes:
    return with_flag(parse_line(text), Flag.CONFLICT)


def too_large(size: int) -> str | None:
    """Why an object of so many bytes is not read, if it is too large."""
    if size <= LARGEST_OBJECT:
        return None
    return f"it has more than {LARGEST_OBJECT >> 20} MiB: this program did not write it"


def opened(body: bytes) -> bytes:
    """The plain lines of an object. Raises ValueError unless it is whole gzip members and nothing
    else, and no larger than any object of this program."""
    plain: list[bytes] = []
    room = LARGEST_OBJECT
    while body or not plain:
        if len(plain) >= _MOST_MEMBERS:
            raise ValueError(f"it has more than {_MOST_MEMBERS} gzip members")
        member = zlib.decompressobj(_GZIP)
        try:
            plain.append(member.decompress(body, room + 1))
        except zlib.error as exc:
            raise ValueError(f"not gzip: {exc}") from None
        room -= len(plain[-1])
        if room < 0:
            raise ValueError(
                f"it unpacks to more than {LARGEST_OBJECT >> 20} MiB: this program did not write it"
            )
        if not member.eof:
            raise ValueError("cut short")
        body = member.unused_data
    return b"".join(plain)
