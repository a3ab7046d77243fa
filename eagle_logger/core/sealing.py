"""From the lines of a log file to one part of the archive: in order, each reading once, and nothing
that an earlier part holds."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from eagle_logger.core.line_format import VERSION, parse_line, with_flag
from eagle_logger.core.line_parser import LineIdentity, LogLine, read_lines, times_in_order
from eagle_logger.core.readings import Flag

_GZIP_LEVEL = 6
_GZIP_WBITS = 31  # what zlib calls a gzip member; it gets no name, and the time 0

LARGEST_HOUR = 4 << 20
"""Bytes of log lines that a log volume takes for one user and hour. Further lines are not written.
A home that is asked every 6 seconds writes 240 KB an hour, one that is asked every second 1 MB.
Archiving a file takes six to seven times its size in memory."""

LARGEST_OBJECT = 4 * LARGEST_HOUR
"""Bytes that are read of an object, compressed or not. A part holds at most an hour's lines."""
_MOST_MEMBERS = 100
"""Gzip members that are read of an object. This program writes one; other tools may join some."""

PLAIN_DIGEST = "plain-sha256"
OBJECT_DIGEST = "object-sha256"
"""The names of two members of an object's metadata."""

Held = Mapping[LineIdentity, AbstractSet[bytes]]
"""The values that earlier parts hold, by identity."""


@dataclass(frozen=True)
class Part:
    """What one object of a user's hour is to hold."""

    plain: bytes
    """The lines, each with its newline."""
    rows: int
    first: str
    """The time of the first reading, ISO 8601 in UTC; "" if there is none."""
    last: str
    duplicates: int
    """Lines left out because an equal one is here."""
    archived: int
    """Lines left out because an earlier part holds them."""
    conflicts: int
    """Lines flagged because their identity occurs with another value."""
    digest: str = field(init=False)
    """SHA-256 (hex) of the plain lines. It decides whether two parts are the same, because the
    object's own bytes may change with the library that compresses them."""

    def __post_init__(self) -> None:
        # The only way to set a field of a frozen dataclass.
        object.__setattr__(self, "digest", hashlib.sha256(self.plain).hexdigest())

    def compressed(self) -> bytes:
        """The object's bytes. Equal lines give equal bytes."""
        return zlib.compress(self.plain, _GZIP_LEVEL, _GZIP_WBITS)

    def metadata(self, body: bytes) -> dict[str, str]:
        """What can be known of the object without opening it. `body` is the object's bytes."""
        return {
            "schema-version": str(VERSION),
            "rows": str(self.rows),
            "first-time": self.first,
            "last-time": self.last,
            PLAIN_DIGEST: self.digest,
            OBJECT_DIGEST: hashlib.sha256(body).hexdigest(),
        }


class PartContent:
    """The lines of a user's log file, or of an uncompressed object. They are parsed only when that
    is needed. For one thread."""

    def __init__(self, plain: bytes, cloud_id: str) -> None:
        self._plain = plain
        self._cloud_id = cloud_id
        self._sound_part = _sound_part(plain, cloud_id)
        self._parsed: tuple[list[LogLine], list[tuple[bytes, str]]] | None = None

    @property
    def lines(self) -> list[LogLine]:
        return self._parse()[0]

    @property
    def unreadable(self) -> list[tuple[bytes, str]]:
        """Whatever is no line of this user's, each piece with the reason."""
        return [] if self._sound_part else self._parse()[1]

    def part(self, held: Held) -> Part:
        """The next part that these lines make, given what the parts before it hold."""
        return self._sound_part if self._sound_part and not held else part_of(self.lines, held)

    def _parse(self) -> tuple[list[LogLine], list[tuple[bytes, str]]]:
        # Not a cached_property: before Python 3.12 that has one lock for all objects, and rotation
        # has many threads.
        if self._parsed is None:
            self._parsed = read_lines(self._plain, self._cloud_id)
        return self._parsed


def _sound_part(plain: bytes, cloud_id: str) -> Part | None:
    """The first part, if it holds these very lines; None if something must be done to them."""
    times = times_in_order(plain, cloud_id)
    if not times:
        return None
    first, last = times[0].decode(), times[-1].decode()
    return Part(plain, len(times), first, last, duplicates=0, archived=0, conflicts=0)


def part_of(lines: Iterable[LogLine], held: Held) -> Part:
    """The next part of a user's hour, given the lines of its file in any order, and what the parts
    before it hold.

    Lines are ordered by time, device, meter, kind and arrival. Of equal readings (identity and
    values) the one that arrived first is kept. Where one identity occurs with several values, here
    or in an earlier part, all of them are kept and flagged `conflict`.
    """
    kept: list[LogLine] = []
    disputed: set[LineIdentity] = set()
    duplicates = archived = 0
    previous, values = None, set[bytes]()
    # Lines of one identity stand together once they are sorted, so the values of one suffice.
    for line in sorted(lines):
        identity = line.identity
        if identity != previous:
            previous, values = identity, set()
        if line.values in values:
            duplicates += 1
            continue
        values.add(line.values)
        if len(values) > 1 or identity in held:
            disputed.add(identity)
        if line.values in held.get(identity, ()):
            archived += 1
        else:
            kept.append(line)
    texts = [line.text for line in kept]
    conflicts = 0
    for number, line in enumerate(kept if disputed else ()):
        if line.identity in disputed:
            texts[number] = with_flag(parse_line(line.text), Flag.CONFLICT)
            conflicts += 1
    return Part(
        plain=b"".join(text + b"\n" for text in texts),
        rows=len(kept),
        first=kept[0].time.decode() if kept else "",
        last=kept[-1].time.decode() if kept else "",
        duplicates=duplicates,
        archived=archived,
        conflicts=conflicts,
    )


def why_too_large(size: int) -> str | None:
    """Why an object of so many bytes is not read; None if it is not too large."""
    if size <= LARGEST_OBJECT:
        return None
    return f"it has more than {LARGEST_OBJECT >> 20} MiB: this program did not write it"


def why_larger(size: int, largest: int) -> str | None:
    """Why an object of so many bytes is not read, if it should have at most `largest`."""
    return f"it has more than the {largest} bytes that it should have" if size > largest else None


def gunzipped(body: bytes) -> bytes:
    """The plain lines of an object. Raises ValueError unless the object is whole gzip members and
    nothing else, and no larger than any that this program writes."""
    plain: list[bytes] = []
    room = LARGEST_OBJECT
    while body or not plain:
        if len(plain) >= _MOST_MEMBERS:
            raise ValueError(f"it has more than {_MOST_MEMBERS} gzip members")
        member = zlib.decompressobj(_GZIP_WBITS)
        try:
            # One byte more than there is room for: enough to notice what is too large.
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
