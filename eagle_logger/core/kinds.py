"""The kinds of readings, and all that differs between them, as one table.

Settings, options, requests, the line parser, listings and comparisons derive from `KINDS`. Besides
its member of `Kind` and its row here, a new kind needs two functions: one that reads its fields
(`rainforest.decoding.notifications`), and one that simulates it (`simulator.relay.gateway`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast


class Kind(StrEnum):
    DEMAND = "demand"
    SUMMATION = "summation"
    PRICE = "price"
    MESSAGE = "message"

    # Enum's own `__hash__` is written in Python, and kinds are keys in every step of a visit.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a log line, for the data dictionary (docs/data_dictionary.py). A day table has a
    column of the same name."""

    name: str
    meaning: str
    unit: str = ""
    null: str = ""
    """When it is null; empty if never."""


MEMBERS_OF_ALL: tuple[Member, ...] = (
    Member("v", "the version of the line's schema: 1"),
    Member("cloud_id", "the home: 6 hex digits, leading zeroes kept"),
    Member("device", 'the MAC of the EAGLE: `0x` and 16 hex digits; `""` where it left that out'),
    Member(
        "meter", 'the MAC of the meter: `0x` and 16 hex digits; `""` where the EAGLE left it out'
    ),
    Member("kind", "`demand`, `summation`, `price` or `message`"),
    Member(
        "time",
        "when the EAGLE received the reading from the meter, by the EAGLE's clock, to the second; "
        "where it gave no time, the second of `arrived`",
        unit="UTC",
    ),
    Member("arrived", "when the reply reached us, by our clock", unit="UTC"),
    Member("flags", "what to know of the reading, in alphabetical order; empty if nothing"),
    Member(
        "raw",
        "the fields that the values came from, as the gateway spelled them. Day tables have it "
        "only if they were built `--with-raw`",
    ),
)
"""Each line has these, whatever its kind."""


@dataclass(frozen=True, slots=True)
class KindSpec:
    kind: Kind
    command: str
    """The relay's command that asks for the newest reading."""
    root_elements: tuple[str, ...]
    """The notifications that carry such a reading: the usual name first, then other firmware's."""
    numbers: tuple[str, ...]
    """The members of a log line that hold the meter's numbers."""
    texts: tuple[str, ...]
    """The members that hold text in the gateway's own words. A line may have further members, which
    describe these."""
    unit: str | None
    """The `unit` of every such line; None where a line names its own unit, or has none."""
    wording: str
    """How a person reads the values: a format string over `numbers`, `texts` and `unit`."""
    holds_without_time: bool
    """Whether a reading holds until the gateway shows another one. Only then does it mean something
    if the gateway gives no time with it."""
    is_periodic: bool
    """Whether a meter says such readings again and again, each with another time. Only then do
    missing ones show."""
    default_interval: float
    """Seconds between two requests, unless the fleet or the user has an interval of its own."""
    kept_per_stream: int
    """How many recent readings of a stream are remembered. An older reading that is shown again
    costs a line, which sealing drops."""
    members: tuple[Member, ...] = ()
    """All members that such a line has besides those of all lines, for the data dictionary."""

    @property
    def interval_name(self) -> str:
        """The name of the setting, the option and the member of a user that hold an interval."""
        return f"{self.kind}_interval"


KINDS: Mapping[str, KindSpec] = {
    spec.kind: spec
    for spec in (
        KindSpec(
            kind=Kind.DEMAND,
            command="get_instantaneous_demand",
            root_elements=("InstantaneousDemand",),
            numbers=("value",),
            texts=(),
            unit="kW",
            wording="{value} {unit}",
            holds_without_time=False,
            is_periodic=True,
            default_interval=6,
            kept_per_stream=4,
            members=(
                Member("value", "the power drawn; negative while the home feeds in", unit="kW"),
                Member("unit", "`kW`"),
            ),
        ),
        KindSpec(
            kind=Kind.SUMMATION,
            command="get_current_summation",
            root_elements=("CurrentSummation", "CurrentSummationDelivered"),
            numbers=("delivered", "received"),
            texts=(),
            unit="kWh",
            wording="{delivered} in, {received} out {unit}",
            holds_without_time=True,
            is_periodic=True,
            default_interval=240,
            kept_per_stream=2,
            members=(
                Member(
                    "delivered",
                    "the register of the energy that the home took",
                    unit="kWh",
                    null="the gateway left it out",
                ),
                Member(
                    "received",
                    "the register of the energy that the home gave",
                    unit="kWh",
                    null="the gateway left it out",
                ),
                Member("unit", "`kWh`"),
            ),
        ),
        KindSpec(
            kind=Kind.PRICE,
            command="get_price",
            root_elements=("PriceCluster",),
            numbers=("price", "tier"),
            texts=("currency", "label"),
            unit=None,
            wording="{price} {unit} {label}",
            holds_without_time=True,
            is_periodic=False,
            default_interval=300,
            kept_per_stream=2,
            members=(
                Member("price", "the price of energy", unit="`unit`"),
                Member(
                    "currency",
                    "letters of ISO 4217",
                    null="the gateway gave none, or a number that ISO 4217 lacks",
                ),
                Member("unit", "such as `USD/kWh`", null="`currency` is null"),
                Member(
                    "tier", "the number of the tariff's step", null="the gateway gave none, or 0"
                ),
                Member(
                    "label",
                    "the tariff's name, in the gateway's words",
                    null="the gateway gave none, or one that means none",
                ),
            ),
        ),
        KindSpec(
            kind=Kind.MESSAGE,
            command="get_message",
            root_elements=("MessageCluster",),
            numbers=(),
            texts=("id", "text"),
            unit=None,
            wording="{text}",
            holds_without_time=True,
            is_periodic=False,
            default_interval=900,
            kept_per_stream=2,
            members=(
                Member("id", "as the gateway says it", null="it left it out"),
                Member("text", "the message, without HTML escapes; it may be empty"),
                Member("priority", "as the gateway says it", null="it left it out"),
                Member(
                    "confirmation_required",
                    "whether the utility wants the message to be confirmed",
                    null="the gateway left it out, or said neither yes nor no",
                ),
                Member("confirmed", "whether it was confirmed", null="likewise"),
                Member("read", "whether it was read", null="likewise"),
                Member("queue", "as the gateway says it", null="it left it out"),
            ),
        ),
    )
}
"""By name, in the order in which a gateway is asked for them."""

_KIND_NAMED = {str(kind): kind for kind in Kind}


def kind_of(name: str) -> Kind:
    """The kind of this name. A kind that only a newer version knows stays a plain string: its lines
    are archived, but no gateway is asked for it."""
    return _KIND_NAMED.get(name) or cast("Kind", name)
