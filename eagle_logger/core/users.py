"""A user: one EAGLE account, its intervals, and what is remembered of it between visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream
from eagle_logger.core.rhythm import NO_RHYTHM, Rhythm


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user's login at the relay. `repr` leaves the secret fields out, so that they are never
    printed."""

    cloud_id: str
    user_email: str = field(repr=False)
    user_pw: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """`intervals`, in seconds, holds only the kinds whose interval differs from the fleet's."""

    cloud_id: str
    intervals: Mapping[Kind, float] = field(default_factory=dict)
    mac_id: str | None = None
    in_step: bool | None = None
    """Whether its turns follow its meter (`core.in_step`); None: as the fleet's do."""


Seen = tuple[int, str]
"""A reading's own time (Unix seconds) and its values as text: see `core.user_state.short_text`."""


class UserState(NamedTuple):
    """What is remembered of a user between visits. Times are Unix seconds of the system's clock.

    `recent` decides whether a reading has been logged already: it holds the time and value of the
    last few readings of each stream. `last_timestamp` is for people only, and filters nothing.
    """

    total_events_logged: int = 0
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    last_arrival: float | None = None
    asked: Mapping[Kind, float] = {}
    recent: Mapping[Stream, tuple[Seen, ...]] = {}
    recent_counts: tuple[int, ...] = ()
    """The number of the newest ten-minute slot, then the readings logged in it and in each of the
    five slots before it."""
    strange_hours: tuple[int, ...] = ()
    """A UTC day (days since 1970), then the starts of the hours, other than the current one, under
    which readings that arrived on that day were filed."""
    failures: int = 0
    """Failed visits in a row."""
    last_error: str | None = None
    parked: str | None = None
    """Why this user is not fetched until it is updated or woken."""
    rhythm: Rhythm = NO_RHYTHM
    """The rhythm in which its meter speaks, as far as replies have shown it."""
    later: tuple[Any, ...] = ()
    """Further members that a newer version wrote. This version stores them again and never reads
    them."""

    def forgiven(self) -> UserState:
        """The state without failures. A user that is updated or woken begins with it."""
        return self._replace(failures=0, last_error=None, parked=None)
