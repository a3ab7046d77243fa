"""Moments and lengths of time, as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNIX = re.compile(r"\d{9,11}(?:\.\d+)?")


def duration_of(text: str) -> float:
    """Seconds of `90s`, `15m`, `1h` or `2d`. Raises ValueError for any other text."""
    if match := _DURATION.fullmatch(text.strip()):
        return float(match[1]) * _SECONDS[match[2]]
    raise ValueError(f"{text!r} is no length of time: write 90s, 15m, 1h or 2d")


def moment_of(text: str, now: float) -> float:
    """Unix seconds of `2026-03-10`, `2026-03-10T17:54:01+01:00` (UTC if it names no zone),
    `1773164041`, `2h` (before `now`) or `now`. Raises ValueError for any other text."""
    text = text.strip()
    if text == "now":
        return now
    if ago := _DURATION.fullmatch(text):
        return now - float(ago[1]) * _SECONDS[ago[2]]
    if _UNIX.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no moment: write 2026-03-10T17:54Z, Unix seconds, "
            "or how long ago, such as 2h"
        ) from None
