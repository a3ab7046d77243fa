"""Hours in UTC. Log files and archive objects are named for them, and each holds one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

SECONDS_PER_HOUR = 3600

Moment = int | float | datetime
"""Unix seconds, or an aware datetime."""


def unix(moment: Moment) -> float:
    """Unix seconds of a moment. Raises ValueError for a naive datetime: it could mean any hour."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(
                f"{moment!r} has no time zone: give an aware datetime, or Unix seconds"
            )
        return moment.timestamp()
    return float(moment)


def iso(seconds: float, *, milliseconds: bool = False) -> str:
    """`2015-03-10T17:54:01Z`, or with milliseconds `2015-03-10T17:54:01.250Z`."""
    whole = math.floor(seconds)
    carry, microseconds = divmod(round((seconds - whole) * 1e6), 1_000_000)
    fraction = f".{microseconds // 1000:03d}" if milliseconds else ""
    return f"{_to_the_second(whole + carry)}{fraction}Z"


@lru_cache(4096)
def _to_the_second(seconds: int) -> str:
    # Cached, because the readings of a fleet share their seconds.
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """A UTC hour, known by its first second (Unix)."""

    start: int

    @classmethod
    def of(cls, moment: Moment) -> Hour:
        return cls(int(unix(moment) // SECONDS_PER_HOUR) * SECONDS_PER_HOUR)

    @classmethod
    @lru_cache(1024)
    def parse(cls, name: str) -> Hour:
        """The hour of a name, `YYYY-MM-DD-HH`. Raises ValueError for any other text."""
        parsed = datetime.strptime(name, "%Y-%m-%d-%H").replace(tzinfo=UTC)
        hour = cls(int(parsed.timestamp()))
        if hour.name != name:
            raise ValueError(f"{name!r} is no hour: it should read YYYY-MM-DD-HH")
        return hour

    @property
    def end(self) -> int:
        return self.start + SECONDS_PER_HOUR

    @property
    def name(self) -> str:
        """`YYYY-MM-DD-HH`"""
        return datetime.fromtimestamp(self.start, UTC).strftime("%Y-%m-%d-%H")

    @property
    def date(self) -> str:
        """`YYYY-MM-DD`"""
        return self.name[:10]

    def __str__(self) -> str:
        return self.name
