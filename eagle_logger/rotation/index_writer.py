"""Puts index objects of one hour, each verified and none ever rewritten, as parts are put.

Whatever number turns out to be taken is read, and counts for the entries that it holds. So no entry
stands twice in one writer's index, wherever a process died before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import structlog

from eagle_logger.archive.archive import Archive
from eagle_logger.core.archive_index import (
    EncodedIndexPart,
    IndexEntry,
    IndexPart,
    decoded,
    next_index_part,
)
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import IndexKey
from eagle_logger.core.sealing import OBJECT_DIGEST
from eagle_logger.errors import AlreadyThere, ArchiveDamages, ArchiveUnavailable, Unreadable

_log = structlog.get_logger("eagle_logger.index")

_READS_BEFORE_DAMAGED = 3
"""An object counts as damaged only after so many reads: the network may damage it too."""
_MOST_DAMAGED_OBJECTS = 2
"""Index objects that the store may damage in one go. After these, the hour waits."""


class IndexWriter:
    """The index objects of one hour and one writer (`node`). For one thread.

    `on_verified` is called with the name and the bytes of each object that turns out to be whole in
    the archive, written now or before.
    """

    def __init__(
        self,
        archive: Archive,
        node: str,
        hour: Hour,
        on_verified: Callable[[IndexKey, bytes], None] = lambda _name, _body: None,
    ) -> None:
        self.indexed: set[str] = set()
        """The keys that this hour's index is known to name."""
        self.is_complete = False
        """Whether an index object says that nothing of the hour waits."""
        self._archive = archive
        self._node = node
        self._hour = hour
        self._on_verified = on_verified
        self._next_number = 0
        self._damaged_objects = 0

    def recall(self, bodies: Iterable[bytes | None]) -> None:
        """Learn what the index objects from number 0 on hold, from copies of them. An object whose
        copy is missing or damaged is read from the archive."""
        for body in bodies:
            part = _decoded(self._name(self._next_number), body)
            if part is None:
                self._recall_from_archive(self._next_number)
            else:
                self._add(part)
            self._next_number += 1

    def follow(self, parts: Iterable[IndexPart]) -> None:
        """Take what these index objects name as indexed, whichever node wrote them."""
        for part in parts:
            self._add(part)
            if part.head.name.node == self._node:
                self._next_number = max(self._next_number, part.head.name.number + 1)

    def follow_copy(self, name: IndexKey, body: bytes | None) -> None:
        """Take what this copy names as indexed, if it can be read."""
        part = _decoded(name, body)
        if part is not None:
            self.follow([part])

    def add(
        self, entries: Iterable[IndexEntry], *, waiting: int, complete: bool
    ) -> list[IndexPart]:
        """Write what the index does not have yet, in one object or a few, and return these. Raises
        ArchiveUnavailable, NotAccepted."""
        left = [entry for entry in entries if entry.key not in self.indexed]
        written = []
        while left or (complete and not self.is_complete):
            name = self._name(self._next_number)
            part = next_index_part(name, left, waiting=waiting, complete=complete)
            if self._put_and_verify(part):
                self._add(part)
                written.append(part)
            else:
                self._recall_from_archive(self._next_number)
            self._next_number += 1
            left = [entry for entry in left if entry.key not in self.indexed]
        return written

    def _add(self, part: IndexPart) -> None:
        self.indexed |= part.keys
        self.is_complete |= part.head.complete

    def _put_and_verify(self, part: IndexPart) -> bool:
        """Whether the archive holds this very object. False if the key has another one."""
        key, encoded = part.head.name.key, EncodedIndexPart.of(part)
        try:
            self._archive.put(key, encoded.body, encoded.metadata)
            is_new = True
        except AlreadyThere:
            is_new = False
        stored = self._archive.head(key)
        if stored is None:
            raise ArchiveUnavailable(
                f"{self._archive.url} has taken {key}, and says that there is no such object"
            )
        digest = stored.sha256 or self._digest_of(key)
        if stored.size == len(encoded.body) and digest == encoded.metadata[OBJECT_DIGEST]:
            self._on_verified(part.head.name, encoded.body)
            return True
        if is_new:
            self._report_damage(key)
        return False

    def _digest_of(self, key: str) -> str | None:
        try:
            return hashlib.sha256(self._archive.get(key)).hexdigest()
        except (Unreadable, KeyError):
            return None

    def _report_damage(self, key: str) -> None:
        _log.error(
            "index_damaged",
            key=key,
            advice="the store keeps other bytes than were sent; the next number repeats them",
        )
        self._damaged_objects += 1
        if self._damaged_objects >= _MOST_DAMAGED_OBJECTS:
            raise ArchiveDamages(
                f"{self._archive.url} stored other bytes than it was sent, for {key} "
                "and the index object before it"
            )

    def _recall_from_archive(self, number: int) -> None:
        """Learn what an index object holds: nothing, if it is missing or damaged."""
        name = self._name(number)
        for _ in range(_READS_BEFORE_DAMAGED):
            try:
                body = self._archive.get(name.key)
            except (Unreadable, KeyError):
                continue
            part = _decoded(name, body)
            if part is not None:
                self._add(part)
                self._on_verified(name, body)
                return
        _log.error("index_unreadable", key=name.key, advice="the next number repeats its lines")

    def _name(self, number: int) -> IndexKey:
        return IndexKey(self._hour, self._node, number)


def _decoded(name: IndexKey, body: bytes | None) -> IndexPart | None:
    try:
        return decoded(body, name) if body else None
    except ValueError:
        return None
