"""A quirk of a gateway or of the relay: the bytes, and what comes of them; and the bytes that most
quirks consist of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from eagle_logger.core.hours import iso
from eagle_logger.core.line_format import value_text
from eagle_logger.core.reading_flags import flags_for
from eagle_logger.core.readings import Flag, Reading
from eagle_logger.errors import Permanent, RelayUnavailable, Transient
from eagle_logger.rainforest.decoding.reply import interpret


class Source(StrEnum):
    """Where a quirk is known from."""

    MANUAL = "manual"
    """The vendor's manuals."""
    CAPTURED = "captured"
    """Captured replies, or several independent clients of the relay agree."""
    ONE_CLIENT = "one client"
    INFERRED = "inferred"
    """Nobody reported it. It follows from the others, or from damage to a reply on its way."""


@dataclass(frozen=True)
class Quirk:
    """`comes_out`: a line for each reading, then one for each problem; or the error that is raised.

    `arrived` (Unix seconds) and `previous` (the summation before, kWh) are given where the flags of
    the line depend on them.
    """

    title: str
    body: bytes
    comes_out: tuple[str, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    arrived: int | None = None
    previous: Mapping[str, Decimal] = field(default_factory=dict)
    source: Source = Source.INFERRED


def outcome(quirk: Quirk) -> tuple[str, ...]:
    """What the decoder makes of the bytes."""
    try:
        decoded = interpret(quirk.status, quirk.headers, quirk.body)
    except RelayUnavailable as exc:
        wait = "" if exc.retry_after is None else f", wait {exc.retry_after:g} s"
        return (f"try again later: {exc.reason}{wait}",)
    except (Transient, Permanent) as exc:
        return (type(exc).__name__.replace("Reply", "").lower(),)
    arrived = MOMENT if quirk.arrived is None else quirk.arrived
    readings = [*decoded.readings, *(undated.dated(arrived) for undated in decoded.undated)]
    lines = [_line(quirk, reading) for reading in readings]
    lines += [f"problem: {problem.what}" for problem in decoded.problems]
    return tuple(lines) or ("known, carries no reading",)


def _line(quirk: Quirk, reading: Reading) -> str:
    flags = sorted(_flags(quirk, reading))
    return " ".join([reading.kind, iso(reading.time), value_text(reading.values), *flags])


def _flags(quirk: Quirk, reading: Reading) -> frozenset[Flag]:
    arrived = reading.time if quirk.arrived is None else quirk.arrived
    return reading.flags | flags_for(reading, arrived, quirk.previous)


def demand(*fields: str, time: str = "0x1c91ec39", root: str = "InstantaneousDemand") -> bytes:
    """A notification with the usual head; each field is `Name=text`."""
    elements = "".join("<{0}>{1}</{0}>".format(*field.split("=", 1)) for field in fields)
    return f"<{root}><TimeStamp>{time}</TimeStamp>{elements}</{root}>".encode()


def summation(*fields: str, time: str = "0x1c91ec39") -> bytes:
    return demand(*fields, time=time, root="CurrentSummation")


def price(*fields: str, time: str = "0x1c91ec39") -> bytes:
    return demand(*fields, time=time, root="PriceCluster")


def message(*fields: str, time: str = "0x1c91ec39") -> bytes:
    return demand(*fields, time=time, root="MessageCluster")


WHEN = "2015-03-10T17:54:01Z"
MOMENT = 1_426_010_041
KW = '"unit":"kW"'
PLAIN = f'demand {WHEN} "value":0.944,{KW}'
WHOLE = demand("Demand=0x0003b0", "Multiplier=0x1", "Divisor=0x3e8")
NO_MESSAGE_STATE = (
    '"priority":null,"confirmation_required":null,"confirmed":null,"read":null,"queue":null'
)


def of_demand(value: str) -> tuple[str, ...]:
    return (f'demand {WHEN} "value":{value},{KW}',)


def of_price(
    value: str, rest: str = '"currency":"USD","unit":"USD/kWh","tier":null,"label":null'
) -> str:
    return f'price {WHEN} "price":{value},{rest}'
