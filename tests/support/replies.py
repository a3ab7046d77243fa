"""Replies of gateways as Hypothesis draws them, and what a correct decoder must read in them.

The expected values are computed from the numbers that were drawn, not from their spelling, and with
other arithmetic (Fraction) than the decoder uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from html import escape

from hypothesis import strategies as st

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Reading, Undated
from eagle_logger.rainforest.decoding.numbers import EPOCH

Fields = tuple[tuple[str, str], ...]
Expected = Mapping[str, Fraction | str | int | bool | None]

SECRET = "0x5ec2e75ec2e75ec2"
"""The install code of every NetworkInfo here. No output of the decoder may contain it."""


@dataclass(frozen=True)
class Notification:
    """A notification's fields, and what they mean. It carries no reading if `expected` is None."""

    root: str
    fields: Fields
    kind: Kind | None = None
    device: str = ""
    meter: str = ""
    time: int = 0
    expected: Expected | None = None

    def was_decoded_as(self, reading: Reading) -> bool:
        head = (reading.kind, reading.device, reading.meter, reading.time)
        return head == (self.kind, self.device, self.meter, self.time) and _equal(
            reading.values, self.expected or {}
        )


def _equal(values: Mapping[str, object], expected: Expected) -> bool:
    return all(_same(values[name], value) for name, value in expected.items())


def _same(value: object, expected: Fraction | str | int | bool | None) -> bool:
    if not isinstance(expected, Fraction):
        return value == expected
    return isinstance(value, Decimal) and is_the_number(value, expected)


def is_the_number(value: Decimal, expected: Fraction) -> bool:
    """Whether they are equal; to 12 places if the fraction cannot be written as a decimal."""
    difference = abs(Fraction(value) - expected)
    return difference == 0 if _ends(expected) else difference <= Fraction(1, 2 * 10**12)


def _ends(fraction: Fraction) -> bool:
    """Whether it can be written as a finite decimal."""
    rest = fraction.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


# What gateways send -------------------------------------------------------------------------------


@st.composite
def hex_text(draw: st.DrawFn, number: int, width: int = 1) -> str:
    """The number in at least `width` hex digits."""
    digits = f"{number:0{width}x}"
    return draw(st.sampled_from(["0x", "0X"])) + draw(st.sampled_from([digits, digits.upper()]))


@st.composite
def macs(draw: st.DrawFn) -> tuple[str, str]:
    """A MAC as a gateway spells it, and as the log does."""
    number = draw(st.integers(1, 2**64 - 1))
    digits = f"{number:0{draw(st.sampled_from([1, 14, 16]))}x}"
    return draw(st.sampled_from(["0x", "0X", ""])) + draw(
        st.sampled_from([digits, digits.upper()])
    ), f"0x{number:016x}"


@st.composite
def factors(draw: st.DrawFn, name: str) -> tuple[Fields, int]:
    """A Multiplier or Divisor, and its value."""
    number = draw(
        st.sampled_from([None, 0, 1, 3, 7, 10, 1000, 1000, 1024, 10**6]) | st.integers(0, 2**64 - 1)
    )
    if number is None:
        return draw(st.sampled_from([(), ((name, ""),), ((name, " "),)])), 1
    text = draw(hex_text(number, draw(st.integers(1, 8))))
    return ((name, text),), number or 1


@st.composite
def heads(draw: st.DrawFn) -> tuple[Fields, str, str, int]:
    """DeviceMacId, MeterMacId and TimeStamp; then the same as the log has them."""
    device, meter = draw(macs()), draw(macs())
    time = draw(st.integers(1, 2**32 - 2).filter(lambda number: number != 0xFFFFFF))
    stamp = draw(hex_text(time, draw(st.integers(1, 10))))
    return (
        (("DeviceMacId", device[0]), ("MeterMacId", meter[0]), ("TimeStamp", stamp)),
        device[1],
        meter[1],
        time + EPOCH,
    )


_SIGNED = {6: 24, 8: 32, 16: 64}


@st.composite
def demands(draw: st.DrawFn) -> Notification:
    head, device, meter, time = draw(heads())
    width = draw(st.integers(1, 16))
    bits = _SIGNED.get(width)
    if bits is None:
        number = draw(st.integers(0, 16**width - 1))
    else:
        number = draw(
            st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).filter(
                lambda one: one != -0x800000
            )
        )
    text = draw(hex_text(number % 16**width, width))
    multiplier, divisor = draw(factors("Multiplier")), draw(factors("Divisor"))
    fields = (*head, ("Demand", text), *multiplier[0], *divisor[0])
    value = Fraction(number * multiplier[1], divisor[1])
    return Notification(
        "InstantaneousDemand",
        fields,
        Kind.DEMAND,
        device,
        meter,
        time,
        {"value": value, "unit": "kW"},
    )


@st.composite
def summations(draw: st.DrawFn) -> Notification:
    head, device, meter, time = draw(heads())
    multiplier, divisor = draw(factors("Multiplier")), draw(factors("Divisor"))
    fields: Fields = (*head, *multiplier[0], *divisor[0])
    expected: dict[str, Fraction | str | None] = {"unit": "kWh"}
    optional = draw(st.sampled_from([None, "delivered", "received"]))
    for name in ("delivered", "received"):
        if name == optional:
            expected[name] = None
            continue
        number = draw(st.integers(0, 2**64 - 1))
        fields += (
            (f"Summation{name.title()}", draw(hex_text(number, draw(st.sampled_from([1, 8, 16]))))),
        )
        expected[name] = Fraction(number * multiplier[1], divisor[1])
    root = draw(st.sampled_from(["CurrentSummation", "CurrentSummationDelivered"]))
    return Notification(root, fields, Kind.SUMMATION, device, meter, time, expected)


@st.composite
def prices(draw: st.DrawFn) -> Notification:
    head, device, meter, time = draw(heads())
    number, digits = draw(st.integers(0, 2**32 - 2)), draw(st.integers(0, 14))
    currency, letters = draw(
        st.sampled_from(
            [("0x0348", "USD"), ("0x007C", "CAD"), ("0x03d2", "EUR"), ("0xffff", None), ("", None)]
        )
    )
    tier, worth = draw(
        st.sampled_from([("1", 1), ("0x01", 1), ("00", None), ("0x0003", 3), ("", None)])
    )
    label = draw(texts)
    fields = (
        *head,
        ("Price", draw(hex_text(number, draw(st.integers(1, 8))))),
        ("TrailingDigits", draw(hex_text(digits, 2))),
        ("Currency", currency),
        ("Tier", tier),
        (draw(st.sampled_from(["RateLabel", "TierLabel"])), label),
    )
    expected: Expected = {
        "price": Fraction(number, 10**digits),
        "currency": letters,
        "tier": worth,
        "label": None if label in {"", "--"} else label,
    }
    return Notification("PriceCluster", fields, Kind.PRICE, device, meter, time, expected)


@st.composite
def messages(draw: st.DrawFn) -> Notification:
    head, device, meter, time = draw(heads())
    identifier, text = f"0x{draw(st.integers(1, 2**32 - 1)):08x}", draw(texts)
    flag, is_required = draw(
        st.sampled_from([("Y", True), ("N", False), ("0x01", True), ("", None)])
    )
    fields = (
        *head,
        ("Id", identifier),
        ("Text", text),
        ("ConfirmationRequired", flag),
        ("Queue", "Active"),
    )
    expected: Expected = {
        "id": identifier,
        "text": text,
        "confirmation_required": is_required,
        "queue": "Active",
        "read": None,
    }
    return Notification("MessageCluster", fields, Kind.MESSAGE, device, meter, time, expected)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=24).map(
    str.strip
)

readings = demands() | summations() | prices() | messages()

_NETWORK_INFO: Fields = (
    ("DeviceMacId", "0xd8d5b9000000abcd"),
    ("InstallCode", SECRET),
    ("LinkKeyHigh", SECRET[2:]),
)
_SCHEDULE_INFO: Fields = (("Event", "demand"), ("Frequency", "8"), ("Enabled", "Y"))
others = st.sampled_from(
    [Notification("NetworkInfo", _NETWORK_INFO), Notification("ScheduleInfo", _SCHEDULE_INFO)]
)


# How they spell it --------------------------------------------------------------------------------

_CASES: list[Callable[[str], str]] = [str, str, str.lower, str.upper, str.swapcase]
_DISPLAY: Fields = (
    ("DigitsRight", "0x03"),
    ("DigitsLeft", "0x0f"),
    ("SuppressLeadingZero", "Y"),
    ("Port", "1"),
    ("Port", "2"),
)


@st.composite
def xml_fragment(draw: st.DrawFn, notification: Notification) -> str:
    """In any order and case, with elements that nobody needs, a field twice, and blanks."""
    fields = [*notification.fields, *draw(st.lists(st.sampled_from(_DISPLAY), max_size=3))]
    fields += draw(st.lists(st.sampled_from(fields), max_size=1))
    blank = draw(st.sampled_from(["", "\r\n", "\r\n  ", "\n\t"]))
    case = draw(st.sampled_from(_CASES))
    root = case(notification.root)
    elements = [_element(case(name), text) for name, text in draw(st.permutations(fields))]
    return f"<{root}>{blank}" + "".join(one + blank for one in elements) + f"</{root}>"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


@st.composite
def xml_replies(draw: st.DrawFn, notifications: Iterable[Notification]) -> bytes:
    between = draw(st.sampled_from(["", "\r\n", " \n"]))
    return between.join(draw(xml_fragment(one)) for one in notifications).encode()


@st.composite
def json_replies(draw: st.DrawFn, notifications: Iterable[Notification]) -> bytes:
    """Each under its root, one after the other, with or without the outer braces."""
    return (
        draw(st.sampled_from(["", "\r\n", ", "]))
        .join([draw(_json_object(one)) for one in notifications])
        .encode()
    )


@st.composite
def _json_object(draw: st.DrawFn, notification: Notification) -> str:
    fields = {name: escape(text) for name, text in draw(st.permutations(notification.fields))}
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps({notification.root: fields}, indent=indent, ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from([text, text[1:-1].strip()]))


# Whether a decoded notification stood complete in the reply ---------------------------------------

_ROOTS = (
    "InstantaneousDemand|CurrentSummationDelivered|CurrentSummation|PriceCluster|MessageCluster"
    "|NetworkInfo|NetworkStatus|ScheduleInfo|DemandPeaks|CommandResponse|DeviceInfo|TimeCluster"
    "|HistoryData|NetworkList|ScheduleList|rainforest"
)
_WHOLE_XML = re.compile(
    rf"<({_ROOTS})(?:\s[^<>]*)?>((?:(?!<(?:{_ROOTS})[\s>]).)*?)</\1\s*>", re.IGNORECASE | re.DOTALL
)


_JSON_ROOT = re.compile(rf'"(?:{_ROOTS})"\s*:\s*(?=[{{\[])', re.IGNORECASE)


_SCALAR = r'"((?:[^"\\]|\\.)*)"|([\w.+-]+)'
_STRING = r'"(?:[^"\\]|\\.)*"'
_EMPTY = r"\{\s*\}"
_LIST = rf'\[(?:[^\[\]{{}}"]|{_STRING}|{_EMPTY}|\[\s*\])*\]'
_MEMBER = re.compile(rf'"(\w+)"\s*:\s*({_STRING}|[\w.+-]+|{_EMPTY}|{_LIST})', re.DOTALL | re.ASCII)
"""The value is text, a number or a word, empty, or a list of such."""


def stands_whole(reading: Reading | Undated, text: str) -> bool:
    """Whether the text holds a complete notification with all these raw fields."""
    tags = [_element_of(name, value) for name, value in reading.raw.items()]
    if any(all(tag.search(match[2]) for tag in tags) for match in _WHOLE_XML.finditer(text)):
        return True
    wanted = {(name.lower(), value) for name, value in reading.raw.items()}
    return any(wanted <= _pairs(piece) for piece in _JSON_ROOT.split(text)[1:])


def _element_of(name: str, value: str) -> re.Pattern[str]:
    empty = "/>|" if not value else ""
    return re.compile(
        rf"<{name}(?:\s[^<>]*)?(?:{empty}>{re.escape(value)}</{name}\s*>)", re.IGNORECASE
    )


def _pairs(piece: str) -> set[tuple[str, str]]:
    return {
        (name.lower(), text) for name, value in _MEMBER.findall(piece) for text in _texts_of(value)
    }


def _texts_of(value: str) -> set[str]:
    texts = {
        bare or _unescaped(inside)
        for inside, bare in re.findall(_SCALAR, value, re.DOTALL | re.ASCII)
    }
    return texts | ({""} if value[0] in "[{" or value == "null" else set())


def _unescaped(inside: str) -> str:
    try:
        return str(json.loads(f'"{inside}"', strict=False))
    except ValueError:
        return inside
