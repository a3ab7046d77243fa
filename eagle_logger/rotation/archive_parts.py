"""One user's hour in the archive: part 0, and further ones for what came later or from another
disk.

Part n holds what its file holds minus every part before it, worked out anew whenever a part number
turns out to be taken. So parts never repeat each other, whoever wrote them.

An object that is not what was sent (the store damaged it) is never rewritten. It counts for what it
really holds: whole lines, if it can be unpacked, nothing otherwise; the next part holds the rest,
and the damage is logged as an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from eagle_logger.archive.archive import Archive, ObjectInfo
from eagle_logger.core.hours import Hour
from eagle_logger.core.line_parser import Identity
from eagle_logger.core.paths import archive_key
from eagle_logger.core.sealing import OBJECT_DIGEST, PLAIN_DIGEST, Held, Part, PartContent, opened
from eagle_logger.errors import AlreadyThere, ArchiveDamages, ArchiveUnavailable, Unreadable
from eagle_logger.logs.folder import SealedFile

_log = structlog.get_logger("eagle_logger.parts")

_READS = 3
"""Before an object is held to be damaged: the way here may damage it too."""
_SPOILED = 2
"""Objects of one user's hour that the store may damage in one go before we leave it alone for a
while."""


@dataclass(frozen=True, slots=True)
class Archived:
    """Where a file's lines are. `number`, `key` and `sha256` are None and `size` is 0 if earlier
    parts held them all."""

    part: Part
    number: int | None = None
    key: str | None = None
    size: int = 0
    sha256: str | None = None


class HourParts:
    """What is known of the parts of a user's hour. For one thread."""

    def __init__(self, archive: Archive, cloud_id: str, hour: Hour) -> None:
        self._archive = archive
        self._cloud_id = cloud_id
        self._hour = hour
        self._held: dict[Identity, set[bytes]] = {}
        self._not_merged: list[PartContent] = []
        self._nothing = PartContent(b"", cloud_id)
        self._next = 0
        self._spoiled = 0

    def recall(self, archived: Iterable[SealedFile]) -> None:
        """Learn what parts hold from the sealed files on this disk that have receipts; only parts
        that nobody wrote here are fetched. A file that does not give the digest in its receipt
        proves nothing."""
        files = {
            file.receipt.part: file
            for file in archived
            if file.receipt is not None and file.receipt.part is not None
        }
        while self._next <= max(files, default=-1):
            self._not_merged.append(
                self._on_disk(files.get(self._next)) or self._in_archive(self._next)
            )
            self._next += 1

    def add(self, content: PartContent) -> Archived:
        """Have what can be read of this in the archive, each once. Raises ArchiveUnavailable, and
        NotAccepted if it will never be."""
        while True:
            part = content.part(self._merged())
            if not part.rows:
                return Archived(part)
            number, key = self._next, archive_key(self._cloud_id, self._hour, self._next)
            found = self._store(key, part)
            self._not_merged.append(content if found else self._in_archive(number))
            self._next += 1
            if found:
                return Archived(part, number, key, found.size, found.sha256)

    def _store(self, key: str, part: Part) -> ObjectInfo | None:
        """What the archive says of our object once it lies there; None if another one does."""
        body = part.compressed()
        metadata = part.metadata(body)
        try:
            self._archive.put(key, body, metadata)
            is_new = True
        except AlreadyThere:
            is_new = False  # somebody else's, or ours from a try whose answer or receipt was lost
        found = self._archive.head(key)
        if found is None:
            raise ArchiveUnavailable(
                f"{self._archive.url} has taken {key}, and says that there is no such object"
            )
        digest = found.sha256 or self._digest_of(key)
        if digest is not None and _is_this(found, digest, len(body), metadata):
            return ObjectInfo(found.size, digest, found.metadata)
        self._report(key, is_new=is_new)
        return None

    def _digest_of(self, key: str) -> str | None:
        """None if the object cannot be read, because then it is not the one that was sent."""
        try:
            return hashlib.sha256(self._archive.get(key)).hexdigest()
        except Unreadable:
            return None

    def _report(self, key: str, *, is_new: bool) -> None:
        if not is_new:
            _log.info("part_taken", key=key)
            return
        _log.error(
            "object_damaged",
            key=key,
            advice="the store keeps other bytes than were sent; the next part repeats them",
        )
        self._spoiled += 1
        if self._spoiled >= _SPOILED:
            raise ArchiveDamages(
                f"{self._archive.url} stored other bytes than it was sent, for {key} and the part before it"
            )

    def _merged(self) -> Held:
        """What the parts hold; worked out only when it is asked for, which for most users is never."""
        for content in self._not_merged:
            for entry in content.entries:
                self._held.setdefault(entry.identity, set()).add(entry.values)
        self._not_merged.clear()
        return self._held

    def _on_disk(self, file: SealedFile | None) -> PartContent | None:
        if file is None or file.receipt is None:
            return None
        try:
            content = PartContent(file.path.read_bytes(), self._cloud_id)
        except OSError:
            return None  # the archive holds these lines
        return content if content.part(self._merged()).digest == file.receipt.sha256_lines else None

    def _in_archive(self, number: int) -> PartContent:
        key = archive_key(self._cloud_id, self._hour, number)
        for _ in range(_READS):
            try:
                return PartContent(opened(self._archive.get(key)), self._cloud_id)
            except KeyError:
                _log.error(
                    "part_missing",
                    key=key,
                    advice="somebody deleted it, or the archive is not the one it was",
                )
                return self._nothing
            except (Unreadable, ValueError) as exc:
                reason = str(exc)
        _log.error(
            "object_unreadable",
            key=key,
            reason=reason,
            advice="the next part repeats what it should hold",
        )
        return self._nothing


def _is_this(found: ObjectInfo, digest: str, size: int, sent: Mapping[str, str]) -> bool:
    """Whether the object is whole and holds the lines that were sent, be it compressed by another
    version of the library."""
    same_bytes = found.size == size and digest == sent[OBJECT_DIGEST]
    said = found.metadata
    return same_bytes or (
        said.get(PLAIN_DIGEST) == sent[PLAIN_DIGEST] and said.get(OBJECT_DIGEST) == digest
    )
