"""The note that says why a user's hour could not be archived. It lies beside the hour's log files,
where every rotator of the volume finds it, also after a restart."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from eagle_logger.core.hours import Hour

VERSION = 1
LARGEST_NOTE = 4096
"""Bytes. This program writes no larger note, and reads no more of one."""
_LONGEST_REASON = 300
"""Characters of the reason that a note keeps. Each takes at most twelve bytes in JSON."""


@dataclass(frozen=True, slots=True)
class StuckUserHour:
    """A user's hour that fails for a reason of its own, while the archive takes other users' hours.
    `since` and `tried_at` are Unix seconds of the system's clock."""

    cloud_id: str
    hour: Hour
    since: float
    tried_at: float
    tries: int
    """How often it has failed, from 1."""
    reason: str

    @classmethod
    def first(cls, cloud_id: str, hour: Hour, reason: str, now: float) -> StuckUserHour:
        return cls(cloud_id, hour, now, now, 1, reason[:_LONGEST_REASON])

    def again(self, reason: str, now: float) -> StuckUserHour:
        return replace(self, tried_at=now, tries=self.tries + 1, reason=reason[:_LONGEST_REASON])

    def to_json(self) -> bytes:
        members = {"v": VERSION, **asdict(self), "hour": self.hour.name}
        return (json.dumps(members) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> StuckUserHour:
        """Raises ValueError for anything but what `to_json` writes."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("v") != VERSION:
            raise ValueError(f"not a note of version {VERSION}")
        try:
            return cls(
                cloud_id=str(data["cloud_id"]),
                hour=Hour.parse(data["hour"]),
                since=float(data["since"]),
                tried_at=float(data["tried_at"]),
                tries=max(1, int(data["tries"])),
                reason=str(data["reason"]),
            )
        except (KeyError, TypeError, OverflowError) as exc:
            raise ValueError(f"not a note about a stuck hour: {exc}") from exc
