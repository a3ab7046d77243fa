"""What things are called: shards, log files, archive keys."""

from __future__ import annotations

import re
import zlib

from eagle_logger.core.hours import Hour

DEFAULT_SHARDS = 16

_CLOUD_ID = re.compile(r"[0-9a-f]{6}")
_LOG_FILE = re.compile(r"rainforest-([0-9a-f]{6})-(\d{4}-\d\d-\d\d-\d\d)\.jsonl")
_KEY = re.compile(r"cloud_id=([0-9a-f]{6})/date=\d{4}-\d\d-\d\d/\1-(\d{4}-\d\d-\d\d-\d\d)(?:\.(\d+))?\.jsonl\.gz")


def cloud_id_of(text: object) -> str:
    """The cloud id in its one spelling (lower case). Raises ValueError unless it is 6 hex digits."""
    folded = text.strip().lower() if isinstance(text, str) else ""
    if not _CLOUD_ID.fullmatch(folded):
        raise ValueError(f"{text!r} is not a cloud id: 6 hex digits, leading zeroes included, such as 00ce69")
    return folded


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
    """The cloud id, hour and part in an archive key (without the prefix), or None if it is not one of ours."""
    match = _KEY.fullmatch(key)
    hour = _hour(match[2]) if match else None
    return (match[1], hour, int(match[3] or 0)) if match and hour else None


def _hour(name: str) -> Hour | None:
    try:
        return Hour.parse(name)
    except ValueError:
        return None
