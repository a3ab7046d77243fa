"""Turns what Redis holds into the objects of `users.store`. A part that cannot be read counts as
empty."""

from __future__ import annotations

import json
import math
from typing import Any

from eagle_logger.core.users import User
from eagle_logger.users.redis.encoding import decode_user, read_state
from eagle_logger.users.redis.listing import Row
from eagle_logger.users.store import Outline, StoredUser

_LAST_MOMENT = 253_402_300_799.0
"""Unix seconds: the end of the year 9999. No later moment can be shown."""


def stored_user(row: Row) -> StoredUser:
    """The user of a row. Its `unreadable` says what cannot be read."""
    name, record, written_state, trouble, due, lease_ends = row
    user, sealed, record_unreadable = User(name.decode()), "", None
    try:
        user, sealed = decode_user(name.decode(), record)
    except ValueError as exc:
        record_unreadable = str(exc)
    state, state_unreadable = read_state(written_state, trouble)
    return StoredUser(
        user=user,
        sealed=sealed,
        state=state,
        due=moment_of(due),
        lease_ends=moment_of(lease_ends),
        unreadable=record_unreadable or state_unreadable,
    )


def outline(row: Row) -> Outline:
    return Outline.of(stored_user(row), visited=row[2] is not None)


def progress_note(text: str) -> dict[str, Any] | None:
    """The note of a process; None if the text is no note."""
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(note, dict)
        or not _is_moment(note.get("at"))
        or not _is_moment(note.get("clock_ahead", 0.0))
    ):
        return None
    return note


def _is_moment(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def moment_of(score: bytes | None) -> float | None:
    """A score of Redis as Unix seconds, moved into the dates that can be shown. A user whose score
    is `inf` is never fetched."""
    return None if score is None else min(max(float(score), 0.0), _LAST_MOMENT)
