"""A user: one EAGLE account, its cadence, and what is remembered of it between visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the relay wants to see. Never printed: the fields are left out of `repr`."""

    cloud_id: str
    user_email: str = field(repr=False)
    user_pw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """An EAGLE account. `intervals` holds only what differs from the fleet's cadence (seconds)."""

    cloud_id: str
    intervals: Mapping[Kind, float] = field(default_factory=dict)
    mac_id: str | None = None


Seen = tuple[int, str]
"""A reading's own time (Unix seconds) and its value as text: see `core.user_state.value_text`."""


class UserState(NamedTuple):
    """What is remembered of a user between visits; times in Unix seconds of the system's clock.

    `last_timestamp` informs, it never filters: `recent` (the last few readings of each stream,
    identity and value) is what decides that something has been logged already.
    """

    total_events_logged: int = 0
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    last_arrival: float | None = None
    asked: Mapping[Kind, float] = {}
    recent: Mapping[Stream, tuple[Seen, ...]] = {}
    recent_counts: tuple[int, ...] = ()
    """The number of the ten-minute slot the first count belongs to, then readings logged in it and
    in the five before it."""
    strange_hours: tuple[int, ...] = ()
    """The UTC day (days since 1970), then the starts of the hours, other than the current one, that
    what arrived on that day was filed under."""
    failures: int = 0
    """Failed visits in a row."""
    last_error: str | None = None
    parked: str | None = None
    """Why this user is not fetched any more, until it is updated or woken."""
    later: tuple[Any, ...] = ()
    """Further members that a newer version wrote. This version stores them again and never reads
    them."""

    def forgiven(self) -> UserState:
        """The state without failures. A user that is updated or woken begins with it."""
        return self._replace(failures=0, last_error=None, parked=None)
