"""Proof, kept beside a sealed log file, that the archive holds its lines."""

from __future__ import annotations

import json
from dataclasses import dataclass

from eagle_logger.core.hours import Hour

VERSION = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was verified. `part`, `key` and `sha256_object` are None, `rows` and `size` 0, when the
    parts archived before already held every line, so that nothing was left to upload.

    `first` and `last` are the times of the first and last reading (Unix seconds); `sha256_lines` is
    the digest of the plain lines, `sha256_object` and `size` those of the compressed object (hex);
    `archived_at` is in Unix seconds.
    """

    cloud_id: str
    hour: Hour
    part: int | None
    key: str | None
    rows: int
    first: int | None
    last: int | None
    sha256_lines: str
    sha256_object: str | None
    size: int
    archived_at: float

    def to_json(self) -> bytes:
        members = {name: getattr(self, name) for name in self.__slots__}
        return (json.dumps({"v": VERSION, **members, "hour": self.hour.name}) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Receipt:
        """Read a receipt, and ignore further members that a newer version wrote. Raises ValueError,
        saying what is wrong, for anything that no version wrote, and for another `v`."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("v") != VERSION:
            raise ValueError(f"not a receipt of version {VERSION}")
        for name, types in _TYPES.items():
            if type(data.get(name)) not in types:
                raise ValueError(
                    f"not a receipt that this program wrote: {name} is {data.get(name)!r}"
                )
        return cls(
            **{name: data[name] for name in _TYPES if name != "hour"}, hour=Hour.parse(data["hour"])
        )


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
