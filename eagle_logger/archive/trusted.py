"""Wraps an archive, and puts no object before the archive has proved that it never replaces one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from eagle_logger.archive.archive import Archive, ObjectInfo
from eagle_logger.errors import ArchiveUnavailable, NoConditionalWrites

_log = structlog.get_logger(__name__)

PROOF_ASKED_AGAIN_AFTER_S = 60.0
"""After this, an archive that replaced objects is asked again: it may have been repaired."""


class TrustedArchive:
    """Asks for the proof once, so each process that archives asks once. Thread-safe."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._proved = False
        self._failure: ArchiveUnavailable | None = None
        self._failed_at = float("-inf")

    @property
    def url(self) -> str:
        return self._archive.url

    def prove(self) -> None:
        called_at = time.monotonic()
        if self._proved:
            return
        with self._lock:
            # Threads that waited here while another thread asked share its answer.
            if self._proved:
                return
            if self._failure is not None and self._still_holds(self._failure, called_at):
                raise type(self._failure)(str(self._failure))
            self._ask_for_proof()

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self.prove()
        self._archive.put(key, body, metadata)

    def head(self, key: str) -> ObjectInfo | None:
        return self._archive.head(key)

    def get(self, key: str) -> bytes:
        return self._archive.get(key)

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str]) -> None:
        self.prove()
        self._archive.put_file(key, path, metadata)

    def get_file(self, key: str, path: Path, largest: int) -> None:
        self._archive.get_file(key, path, largest)

    def delete(self, key: str) -> None:
        self._archive.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._archive.keys(prefix)

    def ping(self) -> None:
        self._archive.ping()

    def _still_holds(self, failure: ArchiveUnavailable, called_at: float) -> bool:
        lasts = PROOF_ASKED_AGAIN_AFTER_S if isinstance(failure, NoConditionalWrites) else 0.0
        return called_at < self._failed_at + lasts

    def _ask_for_proof(self) -> None:
        try:
            self._archive.prove()
        except ArchiveUnavailable as exc:
            self._failure, self._failed_at = exc, time.monotonic()
            if isinstance(exc, NoConditionalWrites):
                _log.error("archive_not_trusted", archive=self.url, detail=str(exc))
            raise
        self._proved, self._failure = True, None
