"""What Redis holds of a user or a process, as the objects of `users.store`. An entry that cannot be
read counts as empty."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from eagle_logger.core.kinds import Kind
from eagle_logger.core.users import User
from eagle_logger.users.redis.encoding import (
    decode_outline,
    decode_trouble,
    decode_user,
    read_state,
)
from eagle_logger.users.redis.listing import Row
from eagle_logger.users.store import Outline, StoredUser

_PLAIN_RECORD = re.compile(rb'\{"sealed":"[!#-\[\]-~]*+"\}')
"""The record of a user without intervals or MAC id of its own."""
_LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, in Unix seconds: no later moment can be shown."""


def stored_user(row: Row) -> StoredUser:
    """The user of a row of `listing.rows`."""
    name, record, state, trouble, due, lease_ends = row
    user, sealed, unreadable_record = User(name.decode()), "", None
    try:
        user, sealed = decode_user(name.decode(), record)
    except ValueError as exc:
        unreadable_record = str(exc)
    known, unreadable_state = read_state(state, trouble)
    return StoredUser(
        user=user,
        sealed=sealed,
        state=known,
        due=moment_of(due),
        lease_ends=moment_of(lease_ends),
        unreadable=unreadable_record or unreadable_state,
    )


def outline(row: Row) -> Outline:
    """The user of a row of `listing.outlines`, in outline."""
    cloud_id, record, state, trouble, due, lease_ends = row
    name, moments = cloud_id.decode(), (moment_of(due), moment_of(lease_ends))
    intervals, record_unreadable = _own_intervals(name, record)
    try:
        total, last, arrival, counts = decode_outline(state)
        well = decode_trouble(trouble)
        return Outline(
            name,
            total,
            last,
            counts,
            *well,
            *moments,
            arrival,
            intervals,
            state is not None,
            record_unreadable,
        )
    except ValueError:
        known, why = read_state(state, trouble)
        return Outline(
            name,
            known.total_events_logged,
            known.last_timestamp,
            known.recent_counts,
            known.failures,
            known.last_error or why,
            known.parked,
            *moments,
            known.last_arrival,
            intervals,
            state is not None,
            record_unreadable or why,
        )


def _own_intervals(cloud_id: str, record: bytes | None) -> tuple[Mapping[Kind, float], str | None]:
    """A user's own intervals, or why its record cannot be read. Almost every record has none, which
    its spelling shows."""
    if record is not None and _PLAIN_RECORD.fullmatch(record):
        return {}, None
    try:
        return decode_user(cloud_id, record or b"")[0].intervals, None
    except ValueError as exc:
        return {}, str(exc)


def progress_note(text: str) -> dict[str, Any] | None:
    """The note; None if the text is no note."""
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
    """A score of Redis as Unix seconds, within the dates that can be shown. A user due at `inf` is
    never fetched."""
    return None if score is None else min(max(float(score), 0.0), _LAST_MOMENT)
