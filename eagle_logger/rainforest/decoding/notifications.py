"""From one whole notification to a reading: what its fields mean, per kind.

A field that decides the value must be readable, or there is no reading. What only describes it
(tier, currency, label) is None when it cannot be read: the raw field is in the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from html import unescape

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.readings import Flag, Reading, Undated, Value
from eagle_logger.rainforest.decoding import currencies, numbers, root_elements
from eagle_logger.rainforest.decoding.numbers import MissingField, TimeNotSet
from eagle_logger.rainforest.decoding.scan_result import Fragment

Fields = Mapping[str, str]
"""Lower-case names; text as it stood in the reply."""

_NONE: frozenset[Flag] = frozenset()
_NO_PRICE = 0xFFFFFFFF
_NO_DIGITS = frozenset({0x0F, 0xFF})
_NO_LABEL = frozenset({"", "--"})
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")

_RAW = {
    Kind.DEMAND: ("TimeStamp", "Demand", "Multiplier", "Divisor"),
    Kind.SUMMATION: (
        "TimeStamp",
        "SummationDelivered",
        "SummationReceived",
        "Multiplier",
        "Divisor",
    ),
    Kind.PRICE: (
        *("TimeStamp", "StartTime", "Duration", "Price", "Currency", "TrailingDigits"),
        *("Tier", "RateLabel", "TierLabel"),
    ),
    Kind.MESSAGE: (
        *("TimeStamp", "StartTime", "Duration", "Id", "Priority", "Text"),
        *("ConfirmationRequired", "Confirmed", "Read", "Queue"),
    ),
}
_KEPT = {kind: tuple((name.lower(), name) for name in names) for kind, names in _RAW.items()}
_NOT_DECIDING = frozenset(
    {"currency", "tier", "ratelabel", "tierlabel", "starttime", "duration", "priority", "queue"}
)
_DECIDING = frozenset(
    key for kept in _KEPT.values() for key, _ in kept if key not in _NOT_DECIDING
) | {
    "devicemacid",
    "metermacid",
}


class EmptyMessage(ValueError):
    """A gateway's usual answer when it has no message or no price. It is no problem."""


class AmbiguousValue(ValueError):
    """A field that decides the value is there twice, and differs."""


def reading_of(fragment: Fragment) -> Reading | Undated:
    """The reading that a whole notification holds; an Undated one if the gateway gave no usable
    time.

    Raises NothingThere, NoTime (a demand without a time), NoReading (a sentinel, or Missing),
    Disputed, or another ValueError for a malformed number.
    """
    kind, fields = root_elements.READINGS[fragment.root], fragment.fields
    if fragment.disputed and not fragment.disputed.isdisjoint(_DECIDING):
        raise AmbiguousValue(
            f"two different values of {', '.join(sorted(fragment.disputed & _DECIDING))}"
        )
    values, flags = _VALUES[kind](fields)
    try:
        time = numbers.unix_time(fields.get("timestamp"))
    except TimeNotSet:
        if not KINDS[kind].holds_without_time:
            raise
        time = None
    device, meter = fields.get("devicemacid", ""), fields.get("metermacid", "")
    raw = {name: fields[key] for key, name in _KEPT[kind] if key in fields}
    known_device, known_meter = numbers.mac(device), numbers.mac(meter)
    if device.lower() != known_device:
        raw["DeviceMacId"] = device
    if meter.lower() != known_meter:
        raw["MeterMacId"] = meter
    if time is None:
        return Undated(known_device, known_meter, kind, values, raw, flags)
    return Reading(known_device, known_meter, kind, time, values, raw, flags)


_Values = tuple[dict[str, Value], frozenset[Flag]]


def _demand(fields: Fields) -> _Values:
    text = _needed(fields, "demand", "Demand")
    value = numbers.scaled(numbers.demand(text), *_scale(fields))
    return {"value": value, "unit": KINDS[Kind.DEMAND].unit}, _NONE


def _summation(fields: Fields) -> _Values:
    delivered, received = (
        fields.get("summationdelivered", "").strip(),
        fields.get("summationreceived", "").strip(),
    )
    if not delivered and not received:
        raise MissingField("neither SummationDelivered nor SummationReceived")
    scale = _scale(fields)
    return {
        "delivered": _counter(delivered, scale),
        "received": _counter(received, scale),
        "unit": KINDS[Kind.SUMMATION].unit,
    }, _NONE


def _price(fields: Fields) -> _Values:
    price = numbers.unsigned(_needed(fields, "price", "Price"))
    digits = numbers.unsigned(_needed(fields, "trailingdigits", "TrailingDigits"))
    if price == _NO_PRICE or digits in _NO_DIGITS:
        raise EmptyMessage("the gateway has no price")
    if digits > 0x0F:
        raise ValueError(f"{digits} trailing digits")
    currency = currencies.letters(_number_or(fields, "currency", 0))
    values: dict[str, Value] = {
        "price": numbers.scaled(price, 1, 10**digits),
        "currency": currency,
        "unit": currency and f"{currency}/kWh",
        "tier": _number_or(fields, "tier", 0) or None,
        "label": _label(fields),
    }
    return values, _NONE if price else frozenset({Flag.NOT_SET})


def _message(fields: Fields) -> _Values:
    identifier, text = fields.get("id", "").strip(), plain_text(fields.get("text", ""))
    if not text and _is_no_id(identifier):
        raise EmptyMessage("no message waits")
    values: dict[str, Value] = {
        "id": identifier or None,
        "text": text,
        "priority": plain_text(fields.get("priority", "")) or None,
        "confirmation_required": _yes(fields.get("confirmationrequired")),
        "confirmed": _yes(fields.get("confirmed")),
        "read": _yes(fields.get("read")),
        "queue": plain_text(fields.get("queue", "")) or None,
    }
    return values, _NONE


_VALUES: dict[Kind, Callable[[Fields], _Values]] = {
    Kind.DEMAND: _demand,
    Kind.SUMMATION: _summation,
    Kind.PRICE: _price,
    Kind.MESSAGE: _message,
}


_character = lru_cache(1024)(unescape)
"""Cached, because a text may consist of entities only, and few of them differ."""


def plain_text(text: str) -> str:
    """The text with its HTML escapes undone, once; nothing else is an entity."""
    return (
        _ENTITY.sub(lambda match: _character(match[0]), text).strip()
        if "&" in text
        else text.strip()
    )


def _needed(fields: Fields, key: str, name: str) -> str:
    text = fields.get(key)
    if text is None or not text.strip():
        raise MissingField(f"{name} is missing or empty")
    return text


def _scale(fields: Fields) -> tuple[int, int]:
    return numbers.factor(fields.get("multiplier")), numbers.factor(fields.get("divisor"))


def _counter(text: str, scale: tuple[int, int]) -> Decimal | None:
    return numbers.scaled(numbers.unsigned(text), *scale) if text else None


def _number_or(fields: Fields, key: str, otherwise: int) -> int:
    try:
        return numbers.unsigned(fields.get(key, ""))
    except ValueError:
        return otherwise


def _is_no_id(text: str) -> bool:
    """Whether a message's id is absent, empty, or zero in any spelling. With another id it is a
    message, even without text."""
    try:
        return not text or numbers.unsigned(text) == 0
    except ValueError:
        return False


def _label(fields: Fields) -> str | None:
    for key in ("ratelabel", "tierlabel"):
        label = plain_text(fields.get(key, ""))
        if label not in _NO_LABEL:
            return label
    return None


def _yes(text: str | None) -> bool | None:
    """Y and N, or numbers as hex: `0x01`, `0x0001`."""
    word = (text or "").strip().upper()
    if word in {"Y", "YES", "TRUE"}:
        return True
    if word in {"N", "NO", "FALSE"}:
        return False
    try:
        return numbers.unsigned(word) != 0
    except ValueError:
        return None
