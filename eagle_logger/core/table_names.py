"""The keys of day tables in the archive, and which bucket of a day a user belongs to.

    parquet/v=1/date=2026-03-10/00-0.parquet                  what readers open
    parquet/v=1/_manifest/date=2026-03-10/day.json            how many buckets the day has
    parquet/v=1/_manifest/date=2026-03-10/00-0.plan.json.gz   what goes into the file, put before it
    parquet/v=1/_manifest/date=2026-03-10/00-0.json           proof that the file was verified

Readers skip `_manifest`, because its name begins with an underscore.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour

TABLES = "parquet/"
"""All keys of day tables begin so. Only such objects may be deleted from the archive: they can be
made again from the others."""
_ROOT = f"{TABLES}v=1/"
_MANIFESTS = f"{_ROOT}_manifest/"
_FILE = re.compile(
    _ROOT + r"(?:_manifest/)?date=(\d{4}-\d\d-\d\d)/(\d\d)-(0|[1-9]\d{0,5})"
    r"(\.parquet|\.plan\.json\.gz|\.json)"
)
_DATE = re.compile(_ROOT + r"(?:_manifest/)?date=(\d{4}-\d\d-\d\d)/")

MOST_BUCKETS = 64
ROWS_PER_BUCKET = 40_000_000
"""Rows that a bucket's first file should not pass: about 180 MB. A day of 30 000 homes makes eight
buckets."""
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A UTC day."""

    date: str
    """`YYYY-MM-DD`"""

    @classmethod
    def parse(cls, date: str) -> Day:
        """Raises ValueError for anything that is no day."""
        return cls(Hour.parse(f"{date}-00").date)

    @classmethod
    def of(cls, moment: float) -> Day:
        return cls(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d"))

    @property
    def hours(self) -> list[Hour]:
        first = self.start
        return [Hour(first + number * SECONDS_PER_HOUR) for number in range(HOURS_PER_DAY)]

    @property
    def start(self) -> int:
        """Its first second (Unix)."""
        return Hour.parse(f"{self.date}-00").start

    @property
    def end(self) -> int:
        return self.start + HOURS_PER_DAY * SECONDS_PER_HOUR

    def is_over(self, now: float) -> bool:
        return now >= self.end

    @property
    def files_prefix(self) -> str:
        return f"{_ROOT}date={self.date}/"

    @property
    def manifests_prefix(self) -> str:
        return f"{_MANIFESTS}date={self.date}/"

    @property
    def buckets_key(self) -> str:
        """The key of the object that says how many buckets the day has."""
        return f"{self.manifests_prefix}day.json"

    def __str__(self) -> str:
        return self.date


@dataclass(frozen=True, slots=True, order=True)
class TableFile:
    """What names one file of a day table. `number` counts the files of its bucket from 0."""

    day: Day
    bucket: int
    number: int

    @property
    def name(self) -> str:
        return f"{self.bucket:02d}-{self.number}"

    @property
    def key(self) -> str:
        return f"{self.day.files_prefix}{self.name}.parquet"

    @property
    def plan_key(self) -> str:
        return f"{self.day.manifests_prefix}{self.name}.plan.json.gz"

    @property
    def manifest_key(self) -> str:
        return f"{self.day.manifests_prefix}{self.name}.json"

    @property
    def keys(self) -> tuple[str, str, str]:
        """All its keys, in the order in which they are deleted: what proves a thing goes before
        it."""
        return (self.manifest_key, self.key, self.plan_key)

    @classmethod
    def parse(cls, key: str) -> TableFile | None:
        """The file that this key (without prefix) belongs to; None for any other key."""
        match = _FILE.fullmatch(key)
        if match is None:
            return None
        try:
            file = cls(Day.parse(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
        return file if key in file.keys else None


def day_of(key: str) -> Day | None:
    """The day of an object of day tables; None for any other key."""
    match = _DATE.match(key)
    try:
        return Day.parse(match[1]) if match else None
    except ValueError:
        return None


def ensure_deletable(key: str) -> None:
    """Raises ValueError for the key of anything but a day table's object."""
    if not key.startswith(TABLES):
        raise ValueError(f"{key!r} is no day table's object, and nothing else is ever deleted")


def bucket_of(cloud_id: str, buckets: int) -> int:
    """The same on every machine and in every version."""
    return zlib.crc32(cloud_id.encode()) % buckets


def buckets_for(rows: int) -> int:
    """How many buckets a day of so many rows gets: 1, or a power of two."""
    buckets = 1
    while buckets < MOST_BUCKETS and rows > buckets * ROWS_PER_BUCKET:
        buckets *= 2
    return buckets
