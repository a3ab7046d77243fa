"""Which archived objects go into which file of a day table, and when a day is complete.

A plan is put before its file, under a number that only one roller can get, and names no object that
an earlier plan of its bucket names. So no reading is in two files, if rollers die or work at once.
A plan is gzipped JSON lines: a head, then one line for each object that it takes:

    {"v":1,"date":"2026-03-10","bucket":0,"number":0,"buckets":1,…,"objects":1}
    ["00ce69",17,0,600,"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"]
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from eagle_logger.core.archive_index import REBUILT, IndexEntry, IndexHead
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.sealing import gunzipped
from eagle_logger.core.table_names import Day, TableFile

VERSION = 1
MOST_OBJECTS = 100_000
"""Objects that one file takes. At 85 bytes a line, the largest plan unpacks to half of what a
reader takes (`sealing.LARGEST_OBJECT`)."""
MOST_ROWS = 60_000_000
"""Rows that one file takes: about 300 MB. What is left goes to the bucket's next file."""
BUILT_ANYWAY_AFTER_S = 26 * SECONDS_PER_HOUR
"""A day's tables are built so long after its begin, even if a node has not stated its hours."""
LATE_AFTER_S = 3 * SECONDS_PER_HOUR
"""A day that still has something to roll up so long after a round first saw it is late: several
rounds have failed, or there is too much for the rollers."""
ROLL_UP = "roll_up"
"""The note of progress in which each round writes since when which days have waited."""
LOOKED_BACK_DAYS = 14
"""Days before today whose late objects still get files by themselves. `tables build --date` does it
for any day."""
_GZIP_WBITS = 31


@dataclass(frozen=True, slots=True, order=True)
class TableInput:
    """One archived object, as a plan names it."""

    cloud_id: str
    hour: Hour
    part: int
    rows: int
    plain_sha256: str

    @property
    def key(self) -> str:
        return archive_key(self.cloud_id, self.hour, self.part)

    @classmethod
    def of(cls, entry: IndexEntry) -> TableInput:
        """Raises ValueError if the entry names no part."""
        named = parse_archive_key(entry.key)
        if named is None:
            raise ValueError(f"{entry.key!r} is no key of a part")
        cloud_id, hour, part = named
        # Interned, because a home's objects of a day are named together.
        return cls(sys.intern(cloud_id), hour, part, entry.rows, entry.plain_sha256)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What one file of a day table holds."""

    file: TableFile
    buckets: int
    inputs: tuple[TableInput, ...]
    """In order of user, hour and part."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Inputs whose rows are not in the file: the reason, by key."""
    rows: int = 0
    """Rows of the file."""
    row_hash: str = ""
    """Hex; see `table_columns.row_text`: the sum of the SHA-256 of all rows, modulo 2^128."""
    first: int | None = None
    """The earliest time of a row (Unix milliseconds)."""
    last: int | None = None
    index: tuple[str, ...] = ()
    """Keys of index objects whose entries of this bucket are all in this plan or an earlier one."""
    with_raw: bool = False
    made_by: str = ""
    """The version of this program."""

    @property
    def digest(self) -> str:
        """What the file holds: SHA-256 (hex) of the keys and digests of its inputs."""
        digest = hashlib.sha256(b"raw\n" if self.with_raw else b"")
        for item in self.inputs:
            refused = " refused" if item.key in self.refused else ""
            digest.update(f"{item.key} {item.plain_sha256}{refused}\n".encode())
        return digest.hexdigest()

    @property
    def head(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "date": self.file.day.date,
            "bucket": self.file.bucket,
            "number": self.file.number,
            "buckets": self.buckets,
            "inputs-digest": self.digest,
            "rows": self.rows,
            "row-hash": self.row_hash,
            "first": self.first,
            "last": self.last,
            "raw": self.with_raw,
            "made-by": self.made_by,
            "refused": dict(self.refused),
            "index": list(self.index),
            "objects": len(self.inputs),
        }

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself, in its footer and beside the object."""
        return {
            "schema-version": str(VERSION),
            "inputs-digest": self.digest,
            "rows": str(self.rows),
            "row-hash": self.row_hash,
            "made-by": self.made_by,
        }

    def to_bytes(self) -> bytes:
        packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WBITS)
        objects = (
            [item.cloud_id, int(item.hour.name[11:]), item.part, item.rows, item.plain_sha256]
            for item in self.inputs
        )
        pieces = [
            packer.compress((json.dumps(line, separators=(",", ":")) + "\n").encode())
            for line in chain((self.head,), objects)
        ]
        return b"".join(pieces) + packer.flush()

    @classmethod
    def from_bytes(cls, body: bytes, file: TableFile) -> TablePlan:
        """Raises ValueError for anything but a whole plan of this file."""
        try:
            first, *lines = gunzipped(body).decode().splitlines()
            head = _checked_head(first, file)
            plan = cls(
                file=file,
                buckets=int(head["buckets"]),
                inputs=tuple(_input_of(line, file.day) for line in lines),
                refused={str(key): str(reason) for key, reason in head["refused"].items()},
                rows=int(head["rows"]),
                row_hash=str(head["row-hash"]),
                first=head["first"],
                last=head["last"],
                index=tuple(map(str, head["index"])),
                with_raw=bool(head["raw"]),
                made_by=str(head["made-by"]),
            )
        except (LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise ValueError(f"not a plan of a day table: {exc}") from None
        if len(plan.inputs) != head["objects"] or plan.digest != head["inputs-digest"]:
            raise ValueError("its lines are not those that its head describes")
        return plan


@dataclass(frozen=True, slots=True)
class TableManifest:
    """Proof that a file was put and read back: the head of its plan, and what is stored."""

    file: TableFile
    head: Mapping[str, Any]
    size: int
    object_sha256: str

    @property
    def rows(self) -> int:
        return int(self.head["rows"])

    @property
    def buckets(self) -> int:
        return int(self.head["buckets"])

    @property
    def index(self) -> tuple[str, ...]:
        return tuple(self.head["index"])

    @property
    def refused(self) -> Mapping[str, str]:
        refused: Mapping[str, str] = self.head["refused"]
        return refused

    def to_bytes(self) -> bytes:
        members = {**self.head, "size": self.size, "object-sha256": self.object_sha256}
        return (json.dumps(members, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, body: bytes, file: TableFile) -> TableManifest:
        """Raises ValueError for anything but the manifest of this file."""
        try:
            head = _checked_head(body.decode(), file)
            size, digest = int(head.pop("size")), str(head.pop("object-sha256"))
            int(head["rows"]), int(head["buckets"]), dict(head["refused"]), tuple(head["index"])
        except (KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise ValueError(f"not a manifest of a day table: {exc}") from None
        return cls(file, head, size, digest)


def new_inputs(
    named: Iterable[TableInput], planned: AbstractSet[str]
) -> dict[str, list[TableInput]]:
    """By key, what the index says of the objects that no plan names yet. Two index objects may say
    different things of one; then it is the object that decides."""
    by_key: dict[str, list[TableInput]] = {}
    for item in sorted(named):
        key = item.key
        if key not in planned:
            said = by_key.setdefault(key, [])
            if item not in said:
                said.append(item)
    return by_key


def is_stated_complete(heads: Iterable[IndexHead], nodes: Iterable[str], day: Day) -> bool:
    """Whether each of these nodes, and each other one that archived something of the day, has said
    of every hour of it that nothing waits."""
    stated: set[tuple[str, Hour]] = set()
    writers: set[str] = set()
    for head in heads:
        writers.add(head.name.node)
        if head.complete:
            stated.add((head.name.node, head.name.hour))
    known = {*nodes, *writers} - {REBUILT}
    return bool(known) and all((node, hour) in stated for node in known for hour in day.hours)


def is_built_anyway(day: Day, now: float) -> bool:
    return now >= day.start + BUILT_ANYWAY_AFTER_S


def days_looked_at(now: float) -> list[Day]:
    """The days whose tables are kept up to date by themselves, oldest first. Today is not over."""
    today = Day.of(now).start
    day_s = 24 * SECONDS_PER_HOUR
    return [Day.of(today - back * day_s) for back in range(LOOKED_BACK_DAYS, 0, -1)]


def waiting_days(note: Mapping[str, str | int | float]) -> dict[Day, float]:
    """What a round's note says: the days that have something to roll up, oldest first, and when a
    round first saw that (Unix)."""
    waiting: dict[Day, float] = {}
    for name, since in sorted(note.items()):
        with suppress(ValueError):  # a note of progress has other members too
            if isinstance(since, int | float):
                waiting[Day.parse(name)] = float(since)
    return waiting


def is_late(waiting_since: float, now: float) -> bool:
    """Whether a person should look at why a day is not rolled up."""
    return now - waiting_since > LATE_AFTER_S


def _checked_head(line: str, file: TableFile) -> dict[str, Any]:
    head = json.loads(line)
    if not isinstance(head, dict) or head.get("v") != VERSION:
        raise ValueError(f"not of version {VERSION}")
    named = (head["date"], head["bucket"], head["number"])
    if named != (file.day.date, file.bucket, file.number):
        raise ValueError(f"it says that it belongs to {named}")
    return head


def _input_of(line: str, day: Day) -> TableInput:
    cloud_id, hour, part, rows, digest = json.loads(line)
    item = TableInput(str(cloud_id), day.hours[hour], int(part), int(rows), str(digest))
    if parse_archive_key(item.key) is None:
        raise ValueError(f"it names {item.key!r}, which is no part")
    return item
