"""The stand-in's objects on disk: `<directory>/<bucket>/<key>`, so that they can be read as files.

What S3 keeps beside an object's bytes (metadata, checksums) is in `<directory>/.objects/`. Each
PUT, whatever its outcome, is a line in `<directory>/puts.jsonl`. Only one process may use a
directory. The objects survive when it is killed, but not a power loss of the machine.
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

JOURNAL = "puts.jsonl"
_INFO_FOLDER = ".objects"
_LAST_CHARACTER = "\U0010ffff"
"""A prefix with it sorts behind every key that begins with the prefix."""


@dataclass(frozen=True, slots=True)
class StoredObjectInfo:
    """What is kept beside an object's bytes."""

    size: int
    md5: str
    sha256: str
    modified: float
    content_type: str = "binary/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    """Header values by algorithm, such as `sha256` → base64."""

    @classmethod
    def of(
        cls,
        body: bytes,
        now: float,
        content_type: str,
        metadata: dict[str, str],
        checksums: dict[str, str],
    ) -> StoredObjectInfo:
        return cls(
            size=len(body),
            md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(body).hexdigest(),
            modified=now,
            content_type=content_type,
            metadata=metadata,
            checksums=checksums,
        )


@dataclass(slots=True)
class ListingPage:
    """A part of a listing. The next page begins behind `next_after`; None if this is the last."""

    keys: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    next_after: str | None = None


class S3Objects:
    """The objects of all buckets.

    Its methods raise KeyError if the bucket does not exist, and ValueError if the key cannot be a
    file's path below the bucket.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys: dict[str, list[str]] = {}
        """Bucket → its keys in order."""
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

    def put(self, bucket: str, key: str, body: bytes, info: StoredObjectInfo) -> None:
        """Store an object whole or not at all. It replaces the object that is there."""
        keys, path = self._keys[bucket], self._path(bucket, key)
        _replace(self._info_path(bucket, key), json.dumps(asdict(info)).encode())
        _replace(path, body)
        if not self.has(bucket, key):
            insort(keys, key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object, if it is there."""
        if self.has(bucket, key):
            self._path(bucket, key).unlink()
            self._info_path(bucket, key).unlink()
            self._keys[bucket].remove(key)

    def has(self, bucket: str, key: str) -> bool:
        keys = self._keys[bucket]
        index = bisect_left(keys, key)
        return index < len(keys) and keys[index] == key

    def info(self, bucket: str, key: str) -> StoredObjectInfo | None:
        if not self.has(bucket, key):
            return None
        return StoredObjectInfo(**json.loads(self._info_path(bucket, key).read_bytes()))

    def body(self, bucket: str, key: str) -> bytes:
        return self._path(bucket, key).read_bytes()

    def page(self, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> ListingPage:
        """Up to `limit` keys, and folders if there is a delimiter, that begin with `prefix` and
        come behind `after`."""
        page = ListingPage()
        while (key := self._key_behind(bucket, prefix, after)) is not None:
            if len(page.keys) + len(page.folders) == limit:
                page.next_after = after
                break
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                page.keys.append(key)
                after = key
            else:
                page.folders.append(key[: end + len(delimiter)])
                after = page.folders[-1] + _LAST_CHARACTER
        return page

    def record_put(self, now: float, bucket: str, key: str, sha256: str, outcome: str) -> None:
        """Add a line to the journal. `outcome` is `stored`, `replaced`, or the code of an error."""
        row = {
            "time": round(now, 3),
            "bucket": bucket,
            "key": key,
            "sha256": sha256,
            "outcome": outcome,
        }
        self._journal.write((json.dumps(row) + "\n").encode())

    def _key_behind(self, bucket: str, prefix: str, after: str) -> str | None:
        keys = self._keys[bucket]
        index = max(bisect_left(keys, prefix), bisect_right(keys, after))
        return keys[index] if index < len(keys) and keys[index].startswith(prefix) else None

    def _path(self, bucket: str, key: str) -> Path:
        parts = key.split("/")
        if any(not part or part.startswith(".") for part in parts):
            raise ValueError(f"this stand-in keeps objects as files, and cannot keep {key!r}")
        return self._directory.joinpath(bucket, *parts)

    def _info_path(self, bucket: str, key: str) -> Path:
        return self._directory / _INFO_FOLDER / bucket / f"{key}.json"


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, durable=False)


def _files_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.startswith("."):
                yield str((Path(folder) / name).relative_to(root))
