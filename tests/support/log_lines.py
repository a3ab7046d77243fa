"""Log lines for tests: written by hand, and drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import strategies as st

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.readings import Flag, Reading, Value

CLOUD_ID = "002738"
HOUR = Hour.parse("2026-03-10-17")
DEVICE = "0xd8d5b9000000abcd"
METER = "0x0013500100000001"


def demand(
    offset: int,
    value: str | int,
    *,
    arrived: float | None = None,
    cloud_id: str = CLOUD_ID,
    hour: Hour = HOUR,
    meter: str = METER,
) -> bytes:
    """The line (with newline) of a demand `offset` seconds into the hour. It arrived five seconds
    later, unless `arrived` says when."""
    time = hour.start + offset
    reading = Reading(
        DEVICE,
        METER,
        Kind.DEMAND,
        time,
        {"value": Decimal(value), "unit": "kW"},
        {"TimeStamp": f"0x{time - 946684800:x}"},
    )
    return encode_line(cloud_id, reading, time + 5 if arrived is None else arrived)


def demands(offsets: Iterable[int], value: str = "0.944") -> bytes:
    return b"".join(demand(offset, value) for offset in offsets)


numbers = st.decimals(
    allow_nan=False, allow_infinity=False, places=3, min_value=-99_999, max_value=99_999
)
flags = st.frozensets(st.sampled_from(sorted(set(Flag) - {Flag.CONFLICT})), max_size=2)
words = st.text(max_size=12)


@st.composite
def readings(draw: st.DrawFn, *, few: bool = False) -> Reading:
    """Any reading. With `few`, so few are possible that equal and conflicting ones are common."""
    kind = draw(st.sampled_from([Kind.DEMAND, Kind.PRICE] if few else list(Kind)))
    time = HOUR.start + draw(st.integers(0, 3 if few else 3599))
    number = draw(
        st.sampled_from([Decimal("0.944"), Decimal(1), Decimal("-2.5")]) if few else numbers
    )
    device = DEVICE if few else draw(st.sampled_from([DEVICE, "", "0x00158d0000000001"]))
    of_kind: dict[Kind, dict[str, Value]] = {
        Kind.DEMAND: {"value": number, "unit": "kW"},
        Kind.SUMMATION: {"delivered": number, "received": None, "unit": "kWh"},
        Kind.PRICE: {
            "price": number,
            "currency": "USD",
            "unit": "kWh",
            "tier": 1,
            "label": "Peak" if few else draw(words),
        },
        Kind.MESSAGE: {"id": 7, "text": "Save" if few else draw(words), "confirmed": True},
    }
    raw = {"TimeStamp": "0x1c91ec39"} if few else draw(st.dictionaries(words, words, max_size=3))
    return Reading(
        device, METER, kind, time, of_kind[kind], raw, frozenset() if few else draw(flags)
    )


@st.composite
def lines(draw: st.DrawFn, *, few: bool = False) -> bytes:
    """A log line without its newline."""
    reading = draw(readings(few=few))
    arrived = reading.time + draw(st.integers(0, 2 if few else 10_000_000)) / 8
    return encode_line(CLOUD_ID, reading, arrived).rstrip(b"\n")
