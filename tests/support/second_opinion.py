"""The values of a reading's raw fields, computed a second time and in another way than the decoder
does."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Flag, Reading, Undated
from eagle_logger.rainforest.decoding.numbers import EPOCH
from tests.support.replies import is_the_number

Raw = Mapping[str, str]

_SIGN_BITS = {8: 23, 10: 31, 18: 63}
"""Length of the text with its `0x` → number of the sign bit."""


def agrees(reading: Reading) -> bool:
    """Whether time, values and flags follow from the raw fields. Of a message only the time is
    compared."""
    return reading.time == _number(reading.raw["TimeStamp"]) + EPOCH and agrees_but_for_time(
        reading
    )


def agrees_but_for_time(reading: Reading | Undated) -> bool:
    raw = reading.raw
    numbers = {name: value for name, value in reading.values.items() if isinstance(value, Decimal)}
    expected = _EXPECTED[reading.kind](raw)
    return (
        numbers.keys() == expected.keys()
        and all(is_the_number(numbers[name], number) for name, number in expected.items())
        and (Flag.NOT_SET in reading.flags) == (numbers.get("price") == 0)
    )


def _demand(raw: Raw) -> dict[str, Fraction]:
    text = raw["Demand"].strip()
    number = _number(text)
    bits = _SIGN_BITS.get(len(text)) if text[:2].lower() == "0x" else None
    if bits is not None and number >> bits:
        number -= 2 << bits
    return {"value": number * _scale(raw)}


def _summation(raw: Raw) -> dict[str, Fraction]:
    counters = {
        name: raw.get(f"Summation{name.title()}", "").strip() for name in ("delivered", "received")
    }
    return {name: _number(text) * _scale(raw) for name, text in counters.items() if text}


def _price(raw: Raw) -> dict[str, Fraction]:
    return {"price": Fraction(_number(raw["Price"]), 10 ** _number(raw["TrailingDigits"]))}


def _message(_raw: Raw) -> dict[str, Fraction]:
    return {}


_EXPECTED = {
    Kind.DEMAND: _demand,
    Kind.SUMMATION: _summation,
    Kind.PRICE: _price,
    Kind.MESSAGE: _message,
}


def _scale(raw: Raw) -> Fraction:
    multiplier, divisor = (_number(raw.get(name, "")) or 1 for name in ("Multiplier", "Divisor"))
    return Fraction(multiplier, divisor)


def _number(text: str) -> int:
    text = text.strip().lower().removeprefix("0x")
    return int(text, 16) if text else 0
