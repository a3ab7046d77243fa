"""The stand-in's objects on disk: `<directory>/<bucket>/<key>`, so that they can be read as files.

What S3 would keep beside an object (metadata, checksums) is in `<directory>/.objects/`; every PUT,
whatever came of it, is a line in `<directory>/puts.jsonl`. For one process. Survives its being
killed, but not the machine's power loss.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from eagle_logger.disk.atomic_files import replace_file

_BESIDE = ".objects"
JOURNAL = "puts.jsonl"
_LAST = "\U0010ffff"  # behind every key that begins with what is in front of it


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is kept beside an object's bytes. `checksums` are header values by algorithm, such as
    `sha256` → base64."""

    size: int
    md5: str
    sha256: str
    modified: float
    content_type: str = "binary/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        body: bytes,
        now: float,
        content_type: str,
        metadata: dict[str, str],
        checksums: dict[str, str],
    ) -> StoredObject:
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return cls(
            len(body), md5, hashlib.sha256(body).hexdigest(), now, content_type, metadata, checksums
        )


@dataclass(slots=True)
class Page:
    """A part of a listing; it goes on behind `next_after`."""

    keys: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    next_after: str | None = None


class S3Objects:
    """Raises KeyError for a bucket that does not exist, ValueError for a key that would not be a
    file below its bucket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: dict[str, list[str]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for path in directory.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                self._keys[path.name] = sorted(_files_below(path))
        self._journal = (directory / JOURNAL).open("ab", buffering=0)

    def close(self) -> None:
        self._journal.close()

    def buckets(self) -> list[str]:
        return sorted(self._keys)

    def create_bucket(self, bucket: str) -> None:
        if not bucket or "/" in bucket or bucket.startswith("."):
            raise ValueError(f"not a bucket's name: {bucket!r}")
        (self._directory / bucket).mkdir(exist_ok=True)
        self._keys.setdefault(bucket, [])

    def put(self, bucket: str, key: str, body: bytes, about: StoredObject) -> None:
        """Whole or not at all; replaces what is there, as S3 does without a condition."""
        keys, path, beside = self._keys[bucket], self._path(bucket, key), self._beside(bucket, key)
        _replace(beside, json.dumps(asdict(about)).encode())
        _replace(path, body)
        if not self.has(bucket, key):
            insort(keys, key)

    def has(self, bucket: str, key: str) -> bool:
        keys = self._keys[bucket]
        index = bisect_left(keys, key)
        return index < len(keys) and keys[index] == key

    def head(self, bucket: str, key: str) -> StoredObject | None:
        return (
            StoredObject(**json.loads(self._beside(bucket, key).read_bytes()))
            if self.has(bucket, key)
            else None
        )

    def body(self, bucket: str, key: str) -> bytes:
        return self._path(bucket, key).read_bytes()

    def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        """Up to `limit` keys (and folders, if there is a delimiter) that begin with `prefix` and
        come behind `after`."""
        page = Page()
        while (key := self._behind(bucket, prefix, after)) is not None:
            if len(page.keys) + len(page.folders) == limit:
                page.next_after = after
                break
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                page.keys.append(key)
                after = key
            else:
                page.folders.append(key[: end + len(delimiter)])
                after = page.folders[-1] + _LAST
        return page

    def _behind(self, bucket: str, prefix: str, after: str) -> str | None:
        keys = self._keys[bucket]
        index = max(bisect_left(keys, prefix), bisect_right(keys, after))
        return keys[index] if index < len(keys) and keys[index].startswith(prefix) else None

    def note_put(self, now: float, bucket: str, key: str, sha256: str, outcome: str) -> None:
        row = {
            "time": round(now, 3),
            "bucket": bucket,
            "key": key,
            "sha256": sha256,
            "outcome": outcome,
        }
        self._journal.write((json.dumps(row) + "\n").encode())

    def _path(self, bucket: str, key: str) -> Path:
        parts = key.split("/")
        if any(not part or part.startswith(".") for part in parts):
            raise ValueError(f"this stand-in keeps objects as files, and cannot keep {key!r}")
        return self._directory.joinpath(bucket, *parts)

    def _beside(self, bucket: str, key: str) -> Path:
        return self._directory / _BESIDE / bucket / f"{key}.json"


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, durable=False)


def _files_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.startswith("."):
                yield str((Path(folder) / name).relative_to(root))
