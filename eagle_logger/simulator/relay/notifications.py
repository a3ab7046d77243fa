"""What a gateway says of its meter: notifications as the real ones are spelled, and beside each
what it truly says.

The fields of a notification are what will be sent; `said` is what a correct decoder would
understand, worked out from the model and not from the fields, so that a slip in the spelling shows.
"""

from __future__ import annotations

from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from eagle_logger.simulator.relay.homes import NO_LABEL, Home, Spelling
from eagle_logger.simulator.relay.meter import Moment
from eagle_logger.simulator.relay.seeded_random import mixed

EPOCH = 946_684_800
"""Rainforest's time 0, 2000-01-01T00:00:00Z, in Unix seconds."""
NO_TIMES = (0xFFFFFFFF, 0, 0xFFFFFF)
"""TimeStamps that mean "no time"."""
INSTALLED = 1_420_070_400
"""When every meter began to count: 2015-01-01T00:00:00Z."""

Fields = list[tuple[str, str]]

MESSAGES = (
    "Peak event today from 4 to 7 pm. Thank you for using less.",
    "Your bill is ready.",
    "Planned work on Tuesday: power may be off from 9 to 11.",
    "Heating & cooling: set back 2\N{DEGREE SIGN} and save.",
    "Tarif d'\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE} \N{EN DASH} moins cher la nuit",
)


class RenderedText(NamedTuple):
    """A reading as a correct decoder gives it. `values` are exact decimals as text, other text,
    whole numbers or None; `time` is None if the gateway gives none."""

    kind: str
    time: int | None
    values: tuple[tuple[str, str | int | None], ...]
    holds_without_time: bool = True
    """Whether it means something if the gateway gives no time with it."""

    def as_json(self, home: Home) -> str:
        values = ",".join(
            f'"{name}":{encode_basestring_ascii(value) if isinstance(value, str) else "null" if value is None else value}'
            for name, value in self.values
        )
        time = "null" if self.time is None else self.time
        return f'{{"device":"{home.device}","meter":"{home.meter}","kind":"{self.kind}","time":{time},{values}}}'

    def undated(self) -> RenderedText | None:
        """The same reading without a time; None if it means nothing without one."""
        return self._replace(time=None) if self.holds_without_time else None


class Notification(NamedTuple):
    """`said` is None where there is no reading in it."""

    root: str
    fields: Fields
    said: RenderedText | None = None

    def if_dated(self) -> Notification:
        """The notification as a decoder sees it: without a reading if a wrong clock's TimeStamp
        wraps around, and with an undated one if the TimeStamp means "no time"."""
        if self.said is None or self.said.time is None:
            return self
        stamp = self.said.time - EPOCH
        if stamp in NO_TIMES:
            return self._replace(said=self.said.undated())
        return self if 0 < stamp < 0xFFFFFFFF else self._replace(said=None)


def demand(home: Home, moment: Moment, clock_error: int = 0) -> Notification:
    """InstantaneousDemand at that moment, dated `clock_error` seconds later than it was."""
    units = home.household.demand(moment.time + home.zone)
    time = moment.time + clock_error
    return Notification(
        "InstantaneousDemand",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex(time - EPOCH)),
            ("Demand", signed_hex(units, home.spelling)),
            *_scale(home),
        ],
        RenderedText(
            "demand",
            time,
            (("value", _thousandths(units * (home.multiplier or 1))),),
            holds_without_time=False,
        ),
    )


def summation(home: Home, moment: Moment, clock_error: int = 0, less: int = 0) -> Notification:
    """CurrentSummation at that moment; `less` watt-hours are missing from the counter."""
    delivered, received = counters(home, moment.time)
    delivered = max(0, delivered - less)
    time, times = moment.time + clock_error, home.multiplier or 1
    said = (
        ("delivered", _thousandths(delivered * times)),
        ("received", _thousandths(received * times)),
    )
    return Notification(
        "CurrentSummation",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex(time - EPOCH)),
            ("SummationDelivered", f"0x{delivered:016x}"),
            ("SummationReceived", f"0x{received:016x}"),
            *_scale(home),
        ],
        RenderedText("summation", time, said),
    )


def counters(home: Home, time: int) -> tuple[int, int]:
    """What the meter's two registers stand at: the exact integral of demand since it was installed,
    in whole units."""
    house, begin = home.household, INSTALLED + home.zone
    now = max(time + home.zone, begin)
    delivered = (house.imported(now) - house.imported(begin)) // 3600
    received = (house.exported(now) - house.exported(begin)) // 3600
    return home.first_units + delivered, received


def price(home: Home, moment: Moment, clock_error: int = 0) -> Notification:
    tariff = home.tariff
    tier = tariff.hours[(moment.time + home.zone) // 3600 % 24]
    label, units = tariff.tiers[tier]
    number = tier + 1 if len(tariff.tiers) > 1 else 0
    time = moment.time + clock_error
    return Notification(
        "PriceCluster",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex(time - EPOCH)),
            ("StartTime", "0xffffffff"),
            ("Duration", "0xffff"),
            ("Price", f"0x{units:08x}"),
            ("Currency", f"0x{tariff.currency:04x}"),
            ("TrailingDigits", f"0x{tariff.digits:02x}"),
            ("Tier", f"0x{number:02x}" if home.spelling is Spelling.USUAL else str(number)),
            ("RateLabel" if home.salt & 1 else "TierLabel", label),
        ],
        RenderedText(
            "price",
            time,
            (
                ("price", plain(Decimal(units).scaleb(-tariff.digits))),
                ("currency", tariff.letters),
                ("tier", number or None),
                ("label", None if label == NO_LABEL else label),
            ),
        ),
    )


def message(
    home: Home, moment: Moment, clock_error: int = 0, *, confirmed: bool = False
) -> Notification:
    identifier, time = message_id(moment), moment.time + clock_error
    bits = mixed(moment.turn, home.salt)
    text = MESSAGES[bits % len(MESSAGES)]
    return Notification(
        "MessageCluster",
        [
            ("DeviceMacId", home.device),
            ("MeterMacId", home.meter),
            ("TimeStamp", _hex(time - EPOCH)),
            ("Id", identifier),
            ("Priority", ("Low", "Medium", "High")[bits >> 8 & 1]),
            ("Text", text),
            ("ConfirmationRequired", "Y" if bits >> 9 & 1 else "N"),
            ("Confirmed", "Y" if confirmed else "N"),
            ("Read", "Y" if confirmed else "N"),
            ("Queue", "Active"),
        ],
        RenderedText("message", time, (("id", identifier), ("text", text))),
    )


def message_id(moment: Moment) -> str:
    return f"0x{moment.turn & 0xFFFFFFFF:08x}"


def signed_hex(number: int, spelling: Spelling) -> str:
    """A demand as firmware spells it: see Spelling."""
    if spelling is Spelling.MANUAL and -(2**23) < number < 2**23:
        return f"0x{number & 0xFFFFFF:06x}"
    if spelling is Spelling.WIDE:
        return f"0x{number & 0xFFFFFFFF:08X}"
    return f"0x{number & 0xFFFFFFFF:06x}"


def plain(number: Decimal) -> str:
    """The decimal without exponent or needless zeroes."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _hex(number: int) -> str:
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
