"""From one whole notification to a reading: what the fields of each kind mean.

A field that decides the value must be readable; otherwise there is no reading. A field that only
describes it (tier, currency, label) becomes None if it cannot be read, since its raw text is in the
log line. The fields are those of the vendor's manual; docs/reference/quirks.md shows how gateways
really fill them ("Prices" for prices, "XML" for messages).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from html import unescape

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.readings import Flag, Reading, Undated, Value
from eagle_logger.rainforest.decoding import numbers, root_elements
from eagle_logger.rainforest.decoding.currencies import currency_code
from eagle_logger.rainforest.decoding.numbers import MissingField, TimeNotSet
from eagle_logger.rainforest.decoding.scan_result import WholeNotification

Fields = Mapping[str, str]
"""By lower-case name: the text as it stands in the reply."""

_NO_FLAGS: frozenset[Flag] = frozenset()
_MOST_TRAILING_DIGITS = 0x0F

# What gateways were seen to send for "none".
_NO_PRICE = 0xFFFFFFFF
_NO_TRAILING_DIGITS = frozenset({0x0F, 0xFF})
_NO_LABEL = frozenset({"", "--"})

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")

_RAW_FIELDS = {
    Kind.DEMAND: ("TimeStamp", "Demand", "Multiplier", "Divisor"),
    Kind.SUMMATION: (
        *("TimeStamp", "SummationDelivered", "SummationReceived"),
        *("Multiplier", "Divisor"),
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
"""The fields of each kind that its log line keeps as they stand in the reply."""
_RAW_NAMES = {
    kind: tuple((name.lower(), name) for name in names) for kind, names in _RAW_FIELDS.items()
}
_DESCRIBING = frozenset(
    {"currency", "tier", "ratelabel", "tierlabel", "starttime", "duration", "priority", "queue"}
)
_DECIDING = frozenset(
    key for names in _RAW_NAMES.values() for key, _ in names if key not in _DESCRIBING
) | {"devicemacid", "metermacid"}
"""A reading is refused if one of these fields repeats with different text."""


class NoCurrentValue(ValueError):
    """A gateway's usual answer when it has no message or no price. It is not a problem."""


class AmbiguousValue(ValueError):
    """A field that decides the value is there twice, with different text."""


def reading_of(notification: WholeNotification) -> Reading | Undated:
    """The reading that a whole notification holds; an Undated one if the gateway gave no usable
    time.

    Raises NoCurrentValue, TimeNotSet (a demand without a time), NotAReading (a number that stands
    for "no reading", or a MissingField), AmbiguousValue, or another ValueError for a malformed
    number.
    """
    kind, fields = root_elements.READINGS[notification.root], notification.fields
    if notification.disputed and (ambiguous := notification.disputed & _DECIDING):
        raise AmbiguousValue(f"two different values of {', '.join(sorted(ambiguous))}")
    values, flags = _VALUES[kind](fields)
    try:
        time = numbers.unix_time(fields.get("timestamp"))
    except TimeNotSet:
        if not KINDS[kind].holds_without_time:
            raise
        time = None
    raw = {name: fields[key] for key, name in _RAW_NAMES[kind] if key in fields}
    device = _mac(fields, raw, "DeviceMacId")
    meter = _mac(fields, raw, "MeterMacId")
    if time is None:
        return Undated(device, meter, kind, values, raw, flags)
    return Reading(device, meter, kind, time, values, raw, flags)


def _mac(fields: Fields, raw: dict[str, str], name: str) -> str:
    """The MAC in its canonical spelling. Another spelling is kept among the raw fields."""
    text = fields.get(name.lower(), "")
    mac = numbers.mac(text)
    if text.lower() != mac:
        raw[name] = text
    return mac


_Values = tuple[dict[str, Value], frozenset[Flag]]


def _demand(fields: Fields) -> _Values:
    text = _required(fields, "Demand")
    value = numbers.scaled(numbers.demand(text), *_scale(fields))
    return {"value": value, "unit": KINDS[Kind.DEMAND].unit}, _NO_FLAGS


def _summation(fields: Fields) -> _Values:
    delivered = fields.get("summationdelivered", "").strip()
    received = fields.get("summationreceived", "").strip()
    if not delivered and not received:
        raise MissingField("neither SummationDelivered nor SummationReceived")
    scale = _scale(fields)
    values: dict[str, Value] = {
        "delivered": _counter(delivered, scale),
        "received": _counter(received, scale),
        "unit": KINDS[Kind.SUMMATION].unit,
    }
    return values, _NO_FLAGS


def _price(fields: Fields) -> _Values:
    price = numbers.unsigned(_required(fields, "Price"))
    digits = numbers.unsigned(_required(fields, "TrailingDigits"))
    if price == _NO_PRICE or digits in _NO_TRAILING_DIGITS:
        raise NoCurrentValue("the gateway has no price")
    if digits > _MOST_TRAILING_DIGITS:
        raise ValueError(f"{digits} trailing digits")
    currency = currency_code(_number_or_zero(fields, "currency"))
    values: dict[str, Value] = {
        "price": numbers.scaled(price, 1, 10**digits),
        "currency": currency,
        "unit": currency and f"{currency}/kWh",
        "tier": _number_or_zero(fields, "tier") or None,
        "label": _price_label(fields),
    }
    return values, _NO_FLAGS if price else frozenset({Flag.NOT_SET})


def _message(fields: Fields) -> _Values:
    message_id, text = fields.get("id", "").strip(), plain_text(fields.get("text", ""))
    if not text and _is_no_message_id(message_id):
        raise NoCurrentValue("no message waits")
    values: dict[str, Value] = {
        "id": message_id or None,
        "text": text,
        "priority": plain_text(fields.get("priority", "")) or None,
        "confirmation_required": _yes_or_no(fields.get("confirmationrequired")),
        "confirmed": _yes_or_no(fields.get("confirmed")),
        "read": _yes_or_no(fields.get("read")),
        "queue": plain_text(fields.get("queue", "")) or None,
    }
    return values, _NO_FLAGS


_VALUES: dict[Kind, Callable[[Fields], _Values]] = {
    Kind.DEMAND: _demand,
    Kind.SUMMATION: _summation,
    Kind.PRICE: _price,
    Kind.MESSAGE: _message,
}


_unescape_entity = lru_cache(1024)(unescape)
"""Cached, because a text may consist of nothing but entities, and few of them differ."""


def plain_text(text: str) -> str:
    """The text with its HTML escapes undone, once, and without blanks around it."""
    if "&" in text:
        text = _ENTITY.sub(lambda match: _unescape_entity(match[0]), text)
    return text.strip()


def _required(fields: Fields, name: str) -> str:
    text = fields.get(name.lower())
    if text is None or not text.strip():
        raise MissingField(f"{name} is missing or empty")
    return text


def _scale(fields: Fields) -> tuple[int, int]:
    return numbers.factor(fields.get("multiplier")), numbers.factor(fields.get("divisor"))


def _counter(text: str, scale: tuple[int, int]) -> Decimal | None:
    return numbers.scaled(numbers.unsigned(text), *scale) if text else None


def _number_or_zero(fields: Fields, key: str) -> int:
    try:
        return numbers.unsigned(fields.get(key, ""))
    except ValueError:
        return 0


def _is_no_message_id(text: str) -> bool:
    """Whether a message's id is absent, empty, or zero in any spelling.

    With another id there is a message, even if its text is empty.
    """
    try:
        return not text or numbers.unsigned(text) == 0
    except ValueError:
        return False


def _price_label(fields: Fields) -> str | None:
    for key in ("ratelabel", "tierlabel"):
        label = plain_text(fields.get(key, ""))
        if label not in _NO_LABEL:
            return label
    return None


def _yes_or_no(text: str | None) -> bool | None:
    """Captured replies have Y and N, or numbers: `0x01`, `0x0001`."""
    word = (text or "").strip().upper()
    if word in {"Y", "YES", "TRUE"}:
        return True
    if word in {"N", "NO", "FALSE"}:
        return False
    try:
        return numbers.unsigned(word) != 0
    except ValueError:
        return None
