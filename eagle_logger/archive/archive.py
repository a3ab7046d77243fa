"""The archive: what rotation and readers need of the place where hours are kept for good.

Adapters: `s3.S3Archive`, `directory.DirectoryArchive` and the in-memory twin
`memory.MemoryArchive`; all pass `tests/contract/archive`. `trusted.TrustedArchive` wraps every
archive that a process writes to. Keys here are without the archive's prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NOT_USABLE = "this store has no conditional writes and cannot be used"
"""How the message of every NoConditionalWrites begins."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the archive itself says about an object."""

    size: int
    sha256: str | None
    """Hex, of the bytes that are stored, as the archive computed it. None if the archive keeps no
    such checksum; then only reading the object shows what is stored."""
    metadata: Mapping[str, str]
    """What was given when the object was put."""


class Archive(Protocol):
    """Blocking; safe from several threads. Every method raises ArchiveUnavailable when the archive
    does not answer, or refuses for now."""

    @property
    def url(self) -> str:
        """Where it is, as a person would write it: `s3://bucket/prefix`, `file:///…`."""
        ...

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Store an object whole or not at all, never replacing one.

        Raises AlreadyThere if the key is taken, by another process or by an earlier call whose
        answer was lost (`head` shows which); NotAccepted if the archive will never take this
        object. After ArchiveUnavailable the object may be stored or not.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """None if there is no such object."""
        ...

    def get(self, key: str) -> bytes:
        """Raises KeyError if there is no such object; Unreadable if its bytes do not fit the
        archive's checksum, or if it is larger than any object of this program
        (`core.sealing.LARGEST_OBJECT`)."""
        ...

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str]) -> None:
        """Like `put`, for an object of any size that lies in a file. Little of it is in memory."""
        ...

    def get_file(self, key: str, path: Path, largest: int) -> None:
        """Write an object's bytes to the new file `path`. Raises KeyError if there is no such
        object, and Unreadable if it has more than `largest` bytes or does not fit the archive's
        checksum; what is at `path` then means nothing."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object of a day table, if it is there. Raises ValueError for any other key: no
        other object is ever deleted."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin with `prefix`, in order of their bytes."""
        ...

    def ping(self) -> None:
        """Prove that objects can be listed."""
        ...

    def prove(self) -> None:
        """Prove that no object is ever replaced: the second of two puts of one key is refused, and
        the first object stays.

        Call it before you put an object, and before you delete a local file that the archive holds.
        Raises NoConditionalWrites if objects can be replaced, ArchiveUnavailable if the
        proof got no answer.
        """
        ...
