"""Proof, kept beside a sealed log file, that the archive holds its lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from eagle_logger.core.archive_index import IndexEntry
from eagle_logger.core.hours import Hour

VERSION = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was verified in the archive.

    If the parts archived before already held every line, nothing was left to upload: `part`, `key`
    and `sha256_object` are None then, `rows` and `size` are 0.
    """

    cloud_id: str
    hour: Hour
    part: int | None
    key: str | None
    rows: int
    first: int | None
    """The time of the first reading (Unix seconds)."""
    last: int | None
    """The time of the last reading (Unix seconds)."""
    sha256_lines: str
    """The digest of the plain lines (hex)."""
    sha256_object: str | None
    """The digest of the compressed object (hex)."""
    size: int
    """Bytes of the compressed object."""
    archived_at: float
    """Unix seconds."""
    found: tuple[IndexEntry, ...] = ()
    """Parts of the hour that no receipt proves, which the archive turned out to hold. The archive's
    index is to name them with this file's part."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys that the archive's index is to name."""
        own = frozenset() if self.key is None else frozenset([self.key])
        return own.union(entry.key for entry in self.found)

    def to_json(self) -> bytes:
        members = {"v": VERSION, **asdict(self), "hour": self.hour.name}
        members["found"] = [json.loads(entry.to_json()) for entry in self.found]
        return (json.dumps(members) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Receipt:
        """Read a receipt. Members that only a newer version knows are ignored. Raises ValueError,
        which says what is wrong, for anything that no version wrote, and for another `v`."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("v") != VERSION:
            raise ValueError(f"not a receipt of version {VERSION}")
        for name, types in _TYPES.items():
            if type(data.get(name)) not in types:
                raise ValueError(
                    f"not a receipt that this program wrote: {name} is {data.get(name)!r}"
                )
        members = {name: data[name] for name in _TYPES}
        found = tuple(map(IndexEntry.from_members, _of_objects(data.get("found", []))))
        return cls(**{**members, "hour": Hour.parse(data["hour"]), "found": found})


def _of_objects(found: object) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"not a receipt that this program wrote: found is {found!r}")
    return found


_NONE = type(None)
_TYPES: dict[str, tuple[type, ...]] = {
    "cloud_id": (str,),
    "hour": (str,),
    "part": (int, _NONE),
    "key": (str, _NONE),
    "rows": (int,),
    "first": (int, _NONE),
    "last": (int, _NONE),
    "sha256_lines": (str,),
    "sha256_object": (str, _NONE),
    "size": (int,),
    "archived_at": (int, float),
}
