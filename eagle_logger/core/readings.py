"""A reading: one thing the meter said, with its own time."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from math import floor
from typing import NamedTuple, cast

from eagle_logger.core.kinds import Kind

Value = Decimal | str | int | bool | None


class Flag(StrEnum):
    """What the analyst should know about a line; none of these ever changes or removes a value."""

    NOT_SET = "not_set"  # price 0: nobody has set one
    FUTURE = "future"  # its own time lies well ahead of its arrival
    LONG_PAST = "long_past"  # its own time lies well behind its arrival
    BACKWARDS = "backwards"  # a summation lower than the one before
    CONFLICT = "conflict"  # the same identity was seen with another value
    FILED_BY_ARRIVAL = (
        "filed_by_arrival"  # its gateway gave no usable time, so the hour of arrival was used
    )


def flag_of(name: str) -> Flag:
    """The flag of this name. A flag that only a newer version knows stays a plain string."""
    return _FLAGS.get(name) or cast("Flag", name)


_FLAGS = {str(flag): flag for flag in Flag}


class Stream(NamedTuple):
    """A user's readings of one kind from one meter."""

    device: str
    meter: str
    kind: Kind


class Identity(NamedTuple):
    """What makes two readings the same one. Never the value: values repeat while time advances."""

    device: str
    meter: str
    kind: Kind
    time: int


class Reading(NamedTuple):
    """One decoded reading.

    `device` and `meter` are MACs as `0x` and 16 lower-case hex digits ("" where the gateway left it
    out). `time` is the reading's own time in Unix seconds (UTC). `values` are the members of its
    log line, in order: `demand` has `value` (Decimal, kW) and `unit`; `summation` has `delivered`
    and `received` (Decimal or None, kWh) and `unit`; `price` has `price` (Decimal), `currency`,
    `unit`, `tier`, `label`; `message` has `id`, `text`, `priority`, … `raw` holds the fields these
    came from, exactly as the gateway spelled them.
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
    """A decoded reading without a usable time of its own: a price set on the gateway itself, a
    summation of old firmware.

    The gateway shows it again and again, so only changed values make a new reading. The members are
    those of a Reading.
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
