"""Proof, kept beside a sealed log file, that the archive holds its lines."""

from __future__ import annotations

import json
from dataclasses import dataclass

from eagle_logger.core.hours import Hour

VERSION = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was verified. `part`, `key` and `sha256_object` are None, `rows` and `size` 0, when the parts archived before
    already held every line, so that nothing was left to upload.

    `first` and `last` are the times of the first and last reading (Unix seconds); `sha256_lines` is the digest of the plain
    lines, `sha256_object` and `size` those of the compressed object (hex); `archived_at` is in Unix seconds.
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
        """Raises ValueError, saying what is wrong, for anything we did not write."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("v", None) != VERSION:
            raise ValueError(f"not a receipt of version {VERSION}")
        try:
            return cls(**{**data, "hour": Hour.parse(data["hour"])})
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"not a receipt as we write them: {wrong}") from wrong
