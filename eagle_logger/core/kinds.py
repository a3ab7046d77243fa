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
    default_interval: float
    """Seconds between two requests, unless the fleet or the user has an interval of its own."""
    kept_per_stream: int
    """How many recent readings of a stream are remembered. An older reading that is shown again
    costs a line, which sealing drops."""

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
            default_interval=6,
            kept_per_stream=4,
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
            default_interval=240,
            kept_per_stream=2,
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
            default_interval=300,
            kept_per_stream=2,
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
            default_interval=900,
            kept_per_stream=2,
        ),
    )
}
"""By name, in the order in which a gateway is asked for them."""

_KIND_NAMED = {str(kind): kind for kind in Kind}


def kind_of(name: str) -> Kind:
    """The kind of this name. A kind that only a newer version knows stays a plain string: its lines
    are archived, but no gateway is asked for it."""
    return _KIND_NAMED.get(name) or cast("Kind", name)
