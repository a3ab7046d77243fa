"""One user's hour in the archive: part 0, and further parts for what came later or from another
disk.

Part n holds what its file holds minus every part before it. It is worked out anew whenever a part
number turns out to be taken, so parts never repeat each other, whichever rotators wrote them.

An object that is not what was sent (the store damaged it) is never rewritten. What counts is what
it really holds: its whole lines if it can be unpacked, otherwise nothing. The next part holds the
rest, and the damage is logged as an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from eagle_logger.archive.archive import Archive, ObjectInfo
from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import LineIdentity
from eagle_logger.core.paths import archive_key
from eagle_logger.core.sealing import (
    OBJECT_DIGEST,
    PLAIN_DIGEST,
    Held,
    Part,
    PartContent,
    gunzipped,
)
from eagle_logger.errors import AlreadyThere, ArchiveDamages, ArchiveUnavailable, Unreadable
from eagle_logger.logs.folder import SealedFile

_log = structlog.get_logger("eagle_logger.parts")

_READS_BEFORE_DAMAGED = 3
"""An object counts as damaged only after so many reads: the network may damage it too."""
_MOST_DAMAGED_OBJECTS = 2
"""Objects of one user's hour that the store may damage in one go. After these, rotation leaves the
hour alone for a while."""


@dataclass(frozen=True, slots=True)
class Archived:
    """Where a file's lines are. `number`, `key` and `sha256` are None and `size` is 0 if earlier
    parts held them all. `found`: what the archive's index is to say of these earlier parts, if no
    receipt on this disk proves them."""

    part: Part
    number: int | None = None
    key: str | None = None
    size: int = 0
    sha256: str | None = None
    found: tuple[IndexEntry, ...] = ()


class HourParts:
    """What is known of the parts of a user's hour. For one thread."""

    def __init__(self, archive: Archive, cloud_id: str, hour: Hour) -> None:
        self._archive = archive
        self._cloud_id = cloud_id
        self._hour = hour
        self._held: dict[LineIdentity, set[bytes]] = {}
        self._not_merged: list[PartContent] = []
        self._found: list[IndexEntry] = []
        self._next_number = 0
        self._damaged_objects = 0

    def recall(self, archived: Iterable[SealedFile]) -> None:
        """Learn what the parts hold from the sealed files on this disk that have receipts. Only
        parts that were not written here are fetched. A file whose lines do not have the digest in
        its receipt proves nothing."""
        files = {
            file.receipt.part: file
            for file in archived
            if file.receipt is not None and file.receipt.part is not None
        }
        while self._next_number <= max(files, default=-1):
            content = self._read_from_disk(files.get(self._next_number))
            self._not_merged.append(content or self._read_from_archive(self._next_number))
            self._next_number += 1

    def add(self, content: PartContent) -> Archived:
        """Put those lines into the archive that no part holds yet, as the next part. Raises
        ArchiveUnavailable, and NotAccepted if the archive will never take them."""
        self._found.clear()
        while True:
            part = content.part(self._held_so_far())
            if not part.rows:
                return Archived(part, found=tuple(self._found))
            number = self._next_number
            key = archive_key(self._cloud_id, self._hour, number)
            stored = self._put_and_verify(key, part)
            self._not_merged.append(content if stored else self._read_from_archive(number))
            self._next_number += 1
            if stored:
                found = tuple(self._found)
                return Archived(part, number, key, stored.size, stored.sha256, found)

    def _put_and_verify(self, key: str, part: Part) -> ObjectInfo | None:
        """The stored object, as the archive describes it; None if another object has the key."""
        body = part.compressed()
        metadata = part.metadata(body)
        try:
            self._archive.put(key, body, metadata)
            is_new = True
        except AlreadyThere:
            # Another rotator's object, or ours from a try whose answer or receipt was lost.
            is_new = False
        stored = self._archive.head(key)
        if stored is None:
            raise ArchiveUnavailable(
                f"{self._archive.url} has taken {key}, and says that there is no such object"
            )
        digest = stored.sha256 or self._digest_of(key)
        if digest is not None and _is_what_was_sent(stored, digest, len(body), metadata):
            return ObjectInfo(stored.size, digest, stored.metadata)
        if is_new:
            self._report_damage(key)
        else:
            _log.info("part_taken", key=key)
            self._note_found(key, stored, digest)
        return None

    def _note_found(self, key: str, stored: ObjectInfo, digest: str | None) -> None:
        """Note a whole part that is not ours to prove: another node's, or one that this node stored
        in a try that failed, when there were fewer lines. In that case, nobody else indexes it."""
        with suppress(ValueError):
            entry = IndexEntry.from_metadata(key, stored.size, stored.metadata)
            if entry.object_sha256 == digest:
                self._found.append(entry)

    def _digest_of(self, key: str) -> str | None:
        """None if the object cannot be read, because then it is not the one that was sent."""
        try:
            return hashlib.sha256(self._archive.get(key)).hexdigest()
        except Unreadable:
            return None

    def _report_damage(self, key: str) -> None:
        _log.error(
            "object_damaged",
            key=key,
            advice="the store keeps other bytes than were sent; the next part repeats them",
        )
        self._damaged_objects += 1
        if self._damaged_objects >= _MOST_DAMAGED_OBJECTS:
            raise ArchiveDamages(
                f"{self._archive.url} stored other bytes than it was sent, "
                f"for {key} and the part before it"
            )

    def _held_so_far(self) -> Held:
        """What the parts so far hold. Their lines are parsed only here, because most users have a
        single part, and none before it."""
        for content in self._not_merged:
            for entry in content.lines:
                self._held.setdefault(entry.identity, set()).add(entry.values)
        self._not_merged.clear()
        return self._held

    def _read_from_disk(self, file: SealedFile | None) -> PartContent | None:
        if file is None or file.receipt is None:
            return None
        try:
            content = PartContent(file.path.read_bytes(), self._cloud_id)
        except OSError:
            return None  # the archive holds these lines
        digest = content.part(self._held_so_far()).digest
        return content if digest == file.receipt.sha256_lines else None

    def _read_from_archive(self, number: int) -> PartContent:
        """The part, without any lines if it is missing or damaged."""
        key = archive_key(self._cloud_id, self._hour, number)
        for _ in range(_READS_BEFORE_DAMAGED):
            try:
                return PartContent(gunzipped(self._archive.get(key)), self._cloud_id)
            except KeyError:
                advice = "it was deleted, or the archive is not the one it was"
                _log.error("part_missing", key=key, advice=advice)
                return PartContent(b"", self._cloud_id)
            except (Unreadable, ValueError) as exc:
                reason = str(exc)
        advice = "the next part repeats what it should hold"
        _log.error("object_unreadable", key=key, reason=reason, advice=advice)
        return PartContent(b"", self._cloud_id)


def _is_what_was_sent(stored: ObjectInfo, digest: str, size: int, sent: Mapping[str, str]) -> bool:
    """Whether the object is whole and holds the lines that were sent. Another version of the
    library may have compressed them to other bytes."""
    if stored.size == size and digest == sent[OBJECT_DIGEST]:
        return True
    holds_same_lines = stored.metadata.get(PLAIN_DIGEST) == sent[PLAIN_DIGEST]
    return holds_same_lines and stored.metadata.get(OBJECT_DIGEST) == digest
