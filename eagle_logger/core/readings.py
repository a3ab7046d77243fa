"""A reading: what a meter showed at one time, such as its demand or its price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from math import floor
from typing import NamedTuple, cast

from eagle_logger.core.kinds import Kind

Value = Decimal | str | int | bool | None


class Flag(StrEnum):
    """What an analyst should know about a line. No flag changes or removes a value."""

    NOT_SET = "not_set"
    FUTURE = "future"
    LONG_PAST = "long_past"
    BACKWARDS = "backwards"
    CONFLICT = "conflict"
    FILED_BY_ARRIVAL = "filed_by_arrival"


FLAG_MEANS: Mapping[Flag, str] = {
    Flag.BACKWARDS: "a summation, delivered or received, lower than the one before it in time: a "
    "reboot or a power cut of the meter",
    Flag.CONFLICT: "the same reading was seen with another value; all of them are kept",
    Flag.FILED_BY_ARRIVAL: "the gateway gave no usable time, so the line is filed under the hour "
    "of its arrival: take `arrived` for its time. Its clock is far wrong, or it gave no time "
    "(`raw.TimeStamp` is missing, empty, or one of `0xffffffff`, `0x00000000`, `0xffffff`)",
    Flag.FUTURE: "its own time is more than five minutes ahead of its arrival",
    Flag.LONG_PAST: "its own time is more than a day behind its arrival",
    Flag.NOT_SET: "the value is 0, because nobody has set one",
}
"""For the data dictionary."""


def flag_of(name: str) -> Flag:
    """The flag of this name. A flag that only a newer version knows stays a plain string."""
    return _FLAG_NAMED.get(name) or cast("Flag", name)


_FLAG_NAMED = {str(flag): flag for flag in Flag}


class Stream(NamedTuple):
    """A user's readings of one kind from one meter."""

    device: str
    meter: str
    kind: Kind


class Identity(NamedTuple):
    """What makes two readings the same one. The value does not: it repeats while time advances."""

    device: str
    meter: str
    kind: Kind
    time: int


class Reading(NamedTuple):
    """One decoded reading.

    `device` and `meter` are MACs: `0x` and 16 lower-case hex digits, or "" where the gateway left
    them out. `time` is the reading's own time in Unix seconds (UTC). `values` are the members of
    its log line that differ by kind, in order (see `core.kinds`); numbers are Decimal, or None
    where the gateway gave none. `raw` holds the fields that the values came from, exactly as the
    gateway spelled them.
    """

    device: str
    meter: str
    kind: Kind
    time: int
    values: Mapping[str, Value]
    raw: Mapping[str, str]
    flags: frozenset[Flag] = frozenset()

    @property
    def stream(self) -> Stream:
        return Stream(self.device, self.meter, self.kind)

    @property
    def identity(self) -> Identity:
        return Identity(self.device, self.meter, self.kind, self.time)


class Undated(NamedTuple):
    """A decoded reading without a usable time of its own, such as a price that was set on the
    gateway itself, or a summation of old firmware. Its members are those of a Reading.

    The gateway shows it again and again, so only changed values make a new reading.
    """

    device: str
    meter: str
    kind: Kind
    values: Mapping[str, Value]
    raw: Mapping[str, str]
    flags: frozenset[Flag] = frozenset()

    @property
    def stream(self) -> Stream:
        return Stream(self.device, self.meter, self.kind)

    def dated(self, arrived: float) -> Reading:
        """The reading with the second of its arrival (Unix seconds) as its time, flagged
        `filed_by_arrival`."""
        flags = self.flags | {Flag.FILED_BY_ARRIVAL}
        return Reading(
            self.device, self.meter, self.kind, floor(arrived), self.values, self.raw, flags
        )
