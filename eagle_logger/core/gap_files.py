"""The files beside the day tables that say what is missing: their keys, and the proof of each.

    parquet/gaps/v=1/date=2026-03-10/00-0.parquet            what readers open
    parquet/gaps/v=1/_manifest/date=2026-03-10/00-0.json     proof that the file was read back

Each file says everything of its bucket. The one with the highest number counts: it was made last,
of at least as much as those before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from eagle_logger.core.table_names import TABLES, Day
from eagle_logger.core.table_plan import TableManifest

VERSION = 1
_ROOT = f"{TABLES}gaps/v={VERSION}/"
_MANIFESTS = f"{_ROOT}_manifest/"
_FILE = re.compile(
    _ROOT + r"(?:_manifest/)?date=(\d{4}-\d\d-\d\d)/(\d\d)-(0|[1-9]\d{0,5})(\.parquet|\.json)"
)


@dataclass(frozen=True, slots=True, order=True)
class GapFile:
    """What names one file. `number` counts the files of its bucket from 0."""

    day: Day
    bucket: int
    number: int

    @property
    def name(self) -> str:
        return f"{self.bucket:02d}-{self.number}"

    @property
    def key(self) -> str:
        return f"{gap_files_prefix(self.day)}{self.name}.parquet"

    @property
    def manifest_key(self) -> str:
        return f"{gap_manifests_prefix(self.day)}{self.name}.json"

    @classmethod
    def parse(cls, key: str) -> GapFile | None:
        """The file that this key (without prefix) belongs to; None for any other key."""
        match = _FILE.fullmatch(key)
        if match is None:
            return None
        try:
            file = cls(Day.parse(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
        return file if key in (file.key, file.manifest_key) else None


@dataclass(frozen=True, slots=True)
class GapManifest:
    """Proof that a file was put and read back."""

    file: GapFile
    made_from: str
    """See `made_from`."""
    rows: int
    size: int
    object_sha256: str
    made_by: str
    """The version of this program."""

    def to_bytes(self) -> bytes:
        members = {
            "v": VERSION,
            "date": self.file.day.date,
            "bucket": self.file.bucket,
            "number": self.file.number,
            "made-from": self.made_from,
            "rows": self.rows,
            "size": self.size,
            "object-sha256": self.object_sha256,
            "made-by": self.made_by,
        }
        return (json.dumps(members, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, body: bytes, file: GapFile) -> GapManifest:
        """Raises ValueError for anything but the manifest of this file."""
        try:
            members = json.loads(body)
            named = (members["v"], members["date"], members["bucket"], members["number"])
            if named != (VERSION, file.day.date, file.bucket, file.number):
                raise ValueError(f"it says that it belongs to {named}")
            return cls(
                file,
                str(members["made-from"]),
                int(members["rows"]),
                int(members["size"]),
                str(members["object-sha256"]),
                str(members["made-by"]),
            )
        except (LookupError, TypeError, RecursionError) as exc:
            raise ValueError(f"not a manifest of a file of gaps: {exc}") from None


def gap_files_prefix(day: Day) -> str:
    return f"{_ROOT}date={day.date}/"


def gap_manifests_prefix(day: Day) -> str:
    return f"{_MANIFESTS}date={day.date}/"


def share_homes(bucket: int, buckets: int, other: int, others: int) -> bool:
    """Whether a home may be in this bucket of one day and in the other bucket of another day, which
    has `others` buckets."""
    return (bucket - other) % gcd(buckets, others) == 0


def made_from(tables: Iterable[TableManifest], index_keys: Iterable[str]) -> str:
    """SHA-256 (hex) of all that a file of gaps is made from: the day tables' files, in any order,
    and the index objects of the day."""
    digest = hashlib.sha256(f"v={VERSION}\n".encode())
    for line in sorted(f"{manifest.file.key} {manifest.object_sha256}" for manifest in tables):
        digest.update(f"{line}\n".encode())
    for key in sorted(index_keys):
        digest.update(f"{key}\n".encode())
    return digest.hexdigest()
