"""What things are called: shards, log files, archive keys."""

from __future__ import annotations

import re
import zlib

from eagle_logger.core.hours import Hour

DEFAULT_SHARDS = 16

_CLOUD_ID = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})([:-]?)([0-9a-fA-F]{2})\2([0-9a-fA-F]{2})")
_SHOWN = 60
"""Characters of a malformed cloud id that an error message repeats."""
_LOG_FILE = re.compile(r"rainforest-([0-9a-f]{6})-(\d{4}-\d\d-\d\d-\d\d)\.jsonl")
_KEY = re.compile(
    r"cloud_id=([0-9a-f]{6})/date=\d{4}-\d\d-\d\d/\1-(\d{4}-\d\d-\d\d-\d\d)(?:\.(\d+))?\.jsonl\.gz"
)


def cloud_id_of(text: object) -> str:
    """The cloud id in its one spelling: 6 hex digits, lower case. Stickers and gateways also write
    00CE69, 00:CE:69, 00-CE-69 and 0x00ce69. Raises ValueError for anything else."""
    match = _CLOUD_ID.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        shown = repr(text)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        raise ValueError(
            f"{shown} is not a cloud id: 6 hex digits, leading zeroes included, such as 00ce69 or 00:CE:69"
        )
    return f"{match[1]}{match[3]}{match[4]}".lower()


def shard_of(cloud_id: str, shards: int) -> int:
    """The group of users this one belongs to; the same on every machine and in every version."""
    return zlib.crc32(cloud_id.encode()) % shards


def shard_name(shard: int) -> str:
    return f"{shard:02d}"


def log_file(cloud_id: str, hour: Hour, shards: int) -> str:
    """The path of a user's open log file, below `logs/`."""
    return f"{hour}/{shard_name(shard_of(cloud_id, shards))}/rainforest-{cloud_id}-{hour}.jsonl"


def parse_log_file(name: str) -> tuple[str, Hour] | None:
    """The cloud id and hour in a log file's name (without its folders), or None if it is not one."""
    match = _LOG_FILE.fullmatch(name)
    hour = _hour(match[2]) if match else None
    return (match[1], hour) if match and hour else None


def archive_key(cloud_id: str, hour: Hour, part: int = 0) -> str:
    """The key of one part of a user's hour, below the archive's prefix."""
    suffix = f".{part}" if part else ""
    return f"cloud_id={cloud_id}/date={hour.date}/{cloud_id}-{hour}{suffix}.jsonl.gz"


def parse_archive_key(key: str) -> tuple[str, Hour, int] | None:
    """The cloud id, hour and part in an archive key (without the prefix), or None if it is not one
    of ours."""
    match = _KEY.fullmatch(key)
    hour = _hour(match[2]) if match else None
    return (match[1], hour, int(match[3] or 0)) if match and hour else None


def _hour(name: str) -> Hour | None:
    try:
        return Hour.parse(name)
    except ValueError:
        return None
