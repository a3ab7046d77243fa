"""An archive in memory, for tests. It lasts as long as the process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from eagle_logger.archive.archive import ObjectInfo
from eagle_logger.core.sealing import why_larger, why_too_large
from eagle_logger.core.table_names import ensure_deletable
from eagle_logger.errors import AlreadyThere, Unreadable


class MemoryArchive:
    url = "memory:"

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        with self._lock:
            if key in self._objects:
                raise AlreadyThere
            self._objects[key] = (bytes(body), dict(metadata))

    def head(self, key: str) -> ObjectInfo | None:
        if key not in self._objects:
            return None
        body, metadata = self._objects[key]
        return ObjectInfo(len(body), hashlib.sha256(body).hexdigest(), metadata)

    def get(self, key: str) -> bytes:
        body = self._objects[key][0]
        if why := why_too_large(len(body)):
            raise Unreadable(why)
        return body

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str]) -> None:
        self.put(key, path.read_bytes(), metadata)

    def get_file(self, key: str, path: Path, largest: int) -> None:
        body = self._objects[key][0]
        if why := why_larger(len(body), largest):
            raise Unreadable(why)
        with path.open("xb") as file:
            file.write(body)

    def delete(self, key: str) -> None:
        ensure_deletable(key)
        with self._lock:
            self._objects.pop(key, None)

    def keys(self, prefix: str = "") -> Iterator[str]:
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))
        yield from keys

    def ping(self) -> None:
        """It always answers."""

    def prove(self) -> None:
        """It needs no proof: `put` looks for the key first, under a lock."""
