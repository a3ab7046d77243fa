"""What a gateway says of its meter: notifications spelled as real gateways spell them.

The fields of a notification are what is sent. Its `reading` is what a correct decoder gets from
them. It is computed from the simulated home, never from the fields; otherwise a mistake in their
spelling would not show.
"""

from __future__ import annotations

from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from eagle_logger.simulator.relay.homes import NO_LABEL, Home, Spelling
from eagle_logger.simulator.relay.meter import Moment
from eagle_logger.simulator.relay.seeded_random import random_bits

EPOCH = 946_684_800
"""Rainforest's time 0, 2000-01-01T00:00:00Z, in Unix seconds (the vendor's manual)."""
NO_TIME_STAMPS = (0xFFFFFFFF, 0, 0xFFFFFF)
"""TimeStamps that mean "no time" (captured)."""
INSTALLED = 1_420_070_400
"""When every meter began to count, 2015-01-01T00:00:00Z, in Unix seconds."""

Fields = list[tuple[str, str]]

MESSAGES = (
    "Peak event today from 4 to 7 pm. Thank you for using less.",
    "Your bill is ready.",
    "Planned work on Tuesday: power may be off from 9 to 11.",
    "Heating & cooling: set back 2\N{DEGREE SIGN} and save.",
    (
        "Tarif d'\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE} "
        "\N{EN DASH} moins cher la nuit"
    ),
)
"""With an ampersand and letters of cp1252, which gateways send as they are (captured)."""


class ExpectedReading(NamedTuple):
    """A reading as a correct decoder gives it."""

    kind: str
    time: int | None
    """Unix seconds; None if the gateway gives no time."""
    values: tuple[tuple[str, str | int | None], ...]
    """Exact decimals as text, other text, whole numbers, or None."""
    holds_without_time: bool = True
    """Whether the reading counts if the gateway gives no time with it."""

    def as_json(self, home: Home) -> str:
        values = ",".join([f'"{name}":{_json(value)}' for name, value in self.values])
        time = "null" if self.time is None else self.time
        return (
            f'{{"device":"{home.device}","meter":"{home.meter}","kind":"{self.kind}",'
            f'"time":{time},{values}}}'
        )

    def undated(self) -> ExpectedReading | None:
        """The same reading without a time; None if it does not count without one."""
        return self._replace(time=None) if self.holds_without_time else None


class Notification(NamedTuple):
    root: str
    fields: Fields
    reading: ExpectedReading | None = None
    """None if the notification carries no reading."""

    def with_reading_as_dated(self) -> Notification:
        """The notification with the reading that a decoder gets in spite of a wrong clock.

        The reading is undated if the TimeStamp means "no time", and there is none if the TimeStamp
        does not fit into 32 bits and wraps around.
        """
        if self.reading is None or self.reading.time is None:
            return self
        stamp = self.reading.time - EPOCH
        if stamp in NO_TIME_STAMPS:
            return self._replace(reading=self.reading.undated())
        return self if 0 < stamp < 0xFFFFFFFF else self._replace(reading=None)


def demand(home: Home, moment: Moment, clock_error: int = 0) -> Notification:
    """InstantaneousDemand, dated `clock_error` seconds after its moment."""
    units = home.household.demand(moment.time + home.utc_offset_s)
    time = moment.time + clock_error
    kilowatts = _thousandths(units * (home.multiplier or 1))
    return Notification(
        "InstantaneousDemand",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex_32_bits(time - EPOCH)),
            ("Demand", signed_hex(units, home.spelling)),
            *_scale(home),
        ],
        ExpectedReading("demand", time, (("value", kilowatts),), holds_without_time=False),
    )


def summation(home: Home, moment: Moment, clock_error: int = 0, missing: int = 0) -> Notification:
    """CurrentSummation; the counter shows `missing` units too few, but never less than 0."""
    delivered, received = counters(home, moment.time)
    delivered = max(0, delivered - missing)
    time, factor = moment.time + clock_error, home.multiplier or 1
    kilowatt_hours = (
        ("delivered", _thousandths(delivered * factor)),
        ("received", _thousandths(received * factor)),
    )
    return Notification(
        "CurrentSummation",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex_32_bits(time - EPOCH)),
            ("SummationDelivered", f"0x{delivered:016x}"),
            ("SummationReceived", f"0x{received:016x}"),
            *_scale(home),
        ],
        ExpectedReading("summation", time, kilowatt_hours),
    )


def counters(home: Home, time: int) -> tuple[int, int]:
    """The meter's two registers in whole units, delivered and received: the exact integral of
    demand since the meter was installed."""
    household, start = home.household, INSTALLED + home.utc_offset_s
    now = max(time + home.utc_offset_s, start)
    delivered = (household.imported(now) - household.imported(start)) // 3600
    received = (household.exported(now) - household.exported(start)) // 3600
    return home.first_units + delivered, received


def price(home: Home, moment: Moment, clock_error: int = 0) -> Notification:
    tariff = home.tariff
    tier = tariff.tier_by_hour[(moment.time + home.utc_offset_s) // 3600 % 24]
    label, units = tariff.tiers[tier]
    tier_number = tier + 1 if len(tariff.tiers) > 1 else 0
    time = moment.time + clock_error
    tier_text = f"0x{tier_number:02x}" if home.spelling is Spelling.USUAL else str(tier_number)
    values = (
        ("price", _without_zeroes(Decimal(units).scaleb(-tariff.digits))),
        ("currency", tariff.letters),
        ("tier", tier_number or None),
        ("label", None if label == NO_LABEL else label),
    )
    return Notification(
        "PriceCluster",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex_32_bits(time - EPOCH)),
            ("StartTime", "0xffffffff"),
            ("Duration", "0xffff"),
            ("Price", f"0x{units:08x}"),
            ("Currency", f"0x{tariff.currency:04x}"),
            ("TrailingDigits", f"0x{tariff.digits:02x}"),
            ("Tier", tier_text),
            # Gateways use either name.
            ("RateLabel" if home.salt & 1 else "TierLabel", label),
        ],
        ExpectedReading("price", time, values),
    )


def message(
    home: Home, moment: Moment, clock_error: int = 0, *, confirmed: bool = False
) -> Notification:
    identifier, time = message_id(moment), moment.time + clock_error
    bits = random_bits(moment.turn, home.salt)
    text = MESSAGES[bits % len(MESSAGES)]
    return Notification(
        "MessageCluster",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex_32_bits(time - EPOCH)),
            ("Id", identifier),
            ("Priority", "Medium" if bits >> 8 & 1 else "Low"),
            ("Text", text),
            ("ConfirmationRequired", "Y" if bits >> 9 & 1 else "N"),
            ("Confirmed", "Y" if confirmed else "N"),
            ("Read", "Y" if confirmed else "N"),
            ("Queue", "Active"),
        ],
        ExpectedReading("message", time, (("id", identifier), ("text", text))),
    )


def message_id(moment: Moment) -> str:
    return _hex_32_bits(moment.turn)


def signed_hex(number: int, spelling: Spelling) -> str:
    """A demand as the firmware spells it: see `Spelling`."""
    if spelling is Spelling.MANUAL and -(2**23) < number < 2**23:
        return f"0x{number & 0xFFFFFF:06x}"
    if spelling is Spelling.WIDE:
        return f"0x{number & 0xFFFFFFFF:08X}"
    return f"0x{number & 0xFFFFFFFF:06x}"


def _json(value: str | int | None) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return "null" if value is None else str(value)


def _without_zeroes(number: Decimal) -> str:
    """The decimal without an exponent, and without zeroes at its end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _hex_32_bits(number: int) -> str:
    return f"0x{number & 0xFFFFFFFF:08x}"


def _thousandths(number: int) -> str:
    whole, rest = divmod(abs(number), 1000)
    text = f"{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{text}" if number < 0 else text


def _scale(home: Home) -> Fields:
    return [
        ("Multiplier", f"0x{home.multiplier:08x}"),
        ("Divisor", "0x000003e8"),
        ("DigitsRight", "0x03"),
        ("DigitsLeft", "0x0f"),
        ("SuppressLeadingZero", "Y"),
    ]
