"""What rotation and readers need of the place where completed hours are kept for good.

Adapters: `s3.S3Archive`, `directory.DirectoryArchive` and the in-memory twin
`memory.MemoryArchive`; all pass `tests/contract/archive`. `trusted.TrustedArchive` wraps every
archive that a process writes to. Keys here are without the archive's prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

NOT_USABLE = "this store has no conditional writes and cannot be used"
"""How the message of every NoConditionalWrites begins."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the archive itself says about an object. `sha256` (hex) is of the bytes it stores, as it
    computed it; None where it keeps no such checksum, so that only reading the object back can
    tell. `metadata` is what was given when it was put."""

    size: int
    sha256: str | None
    metadata: Mapping[str, str]


class Archive(Protocol):
    """Blocking; safe from several threads. Raises ArchiveUnavailable when it does not answer or
    refuses for now."""

    @property
    def url(self) -> str:
        """Where it is, as a person would write it: `s3://bucket/prefix`, `file:///…`."""
        ...

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Store an object whole or not at all, never replacing one.

        Raises AlreadyThere if the key is taken, by others or by an earlier call of ours whose
        answer was lost (`head` tells which); NotAccepted if the archive will never take this
        object. After ArchiveUnavailable it may be stored or not.
        """
        ...

    def head(self, key: str) -> ObjectInfo | None: ...
    def get(self, key: str) -> bytes:
        """Raises KeyError if there is no such object; Unreadable if its bytes do not fit the
        archive's checksum, or if it is larger than any object of this program
        (`core.sealing.LARGEST_OBJECT`)."""
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

        Call it before you put anything, and before you delete a local file because the archive
        holds it. Raises NoConditionalWrites if objects can be replaced, ArchiveUnavailable if the
        proof got no answer.
        """
        ...
