"""The names of shards, log files and archive keys, and the one spelling of cloud ids."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from eagle_logger.core.hours import Hour

DEFAULT_SHARDS = 16

_CLOUD_ID = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})([:-]?)([0-9a-fA-F]{2})\2([0-9a-fA-F]{2})")
_LONGEST_SHOWN = 60
"""An error message repeats this many characters of a malformed cloud id."""
_LOG_FILE = re.compile(r"rainforest-([0-9a-f]{6})-(\d{4}-\d\d-\d\d-\d\d)\.jsonl")
_KEY = re.compile(
    r"cloud_id=([0-9a-f]{6})/date=\d{4}-\d\d-\d\d/\1-(\d{4}-\d\d-\d\d-\d\d)(?:\.(\d+))?\.jsonl\.gz"
)
INDEX = "_index/"
"""All keys of the index begin so. They are one folder deeper than the parts, so `*/*/*.jsonl.gz`
finds the parts alone; Spark and Athena skip names that begin with an underscore."""
_INDEX_KEY = re.compile(
    INDEX + r"date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/([0-9a-f]{12}|rebuilt)\.(0|[1-9]\d*)\.jsonl\.gz"
)


@dataclass(frozen=True, slots=True, order=True)
class IndexKey:
    """What names an index object: its hour, who wrote it (a node, or `rebuilt`), and a number that
    counts this writer's index objects of the hour from 0."""

    hour: Hour
    node: str
    number: int

    @property
    def key(self) -> str:
        """Below the archive's prefix."""
        return f"{index_prefix(self.hour)}{self.node}.{self.number}.jsonl.gz"

    @classmethod
    def parse(cls, key: str) -> IndexKey | None:
        """None for any key (without prefix) that names no index object."""
        match = _INDEX_KEY.fullmatch(key)
        hour = _hour(f"{match[1]}-{match[2]}") if match else None
        return cls(hour, match[3], int(match[4])) if match and hour else None


def index_prefix(hour: Hour) -> str:
    """The beginning of the keys of all index objects of an hour."""
    return f"{INDEX}date={hour.date}/hour={hour.name[11:]}/"


def cloud_id_of(text: object) -> str:
    """The cloud id in its one spelling: 6 hex digits, lower case. Stickers and gateways also write
    00CE69, 00:CE:69, 00-CE-69 and 0x00ce69. Raises ValueError for anything else."""
    match = _CLOUD_ID.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        shown = repr(text)
        if len(shown) > _LONGEST_SHOWN:
            shown = f"{shown[:_LONGEST_SHOWN]}…"
        raise ValueError(
            f"{shown} is not a cloud id: 6 hex digits, leading zeroes included, "
            "such as 00ce69 or 00:CE:69"
        )
    return f"{match[1]}{match[3]}{match[4]}".lower()


def shard_of(cloud_id: str, shards: int) -> int:
    """The shard that this user belongs to: the same on every machine and in every version."""
    return zlib.crc32(cloud_id.encode()) % shards


def shard_name(shard: int) -> str:
    return f"{shard:02d}"


def log_file(cloud_id: str, hour: Hour, shards: int) -> str:
    """The path of a user's open log file, below `logs/`."""
    return f"{hour}/{shard_name(shard_of(cloud_id, shards))}/rainforest-{cloud_id}-{hour}.jsonl"


def parse_log_file(name: str) -> tuple[str, Hour] | None:
    """The cloud id and hour in a log file's name (without folders); None for any other name."""
    match = _LOG_FILE.fullmatch(name)
    hour = _hour(match[2]) if match else None
    return (match[1], hour) if match and hour else None


def archive_key(cloud_id: str, hour: Hour, part: int = 0) -> str:
    """The key of one part of a user's hour, below the archive's prefix."""
    suffix = f".{part}" if part else ""
    return f"cloud_id={cloud_id}/date={hour.date}/{cloud_id}-{hour}{suffix}.jsonl.gz"


def parse_archive_key(key: str) -> tuple[str, Hour, int] | None:
    """The cloud id, hour and part in an archive key (without prefix); None for any other key."""
    match = _KEY.fullmatch(key)
    hour = _hour(match[2]) if match else None
    return (match[1], hour, int(match[3] or 0)) if match and hour else None


def _hour(name: str) -> Hour | None:
    try:
        return Hour.parse(name)
    except ValueError:
        return None
