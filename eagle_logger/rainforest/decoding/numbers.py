"""Rainforest's numbers: hex strings whose width carries the sign, exact decimals made of them, and
MACs.

A number is `0x` and 1 to 16 hex digits. Without `0x` it counts only if it means the same in base 10
and in base 16, such as `00` or `3`: a guess at anything longer could be wrong by orders of
magnitude.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact

EPOCH = 946_684_800
"""Rainforest's time 0, 2000-01-01T00:00:00Z, in Unix seconds."""

PLACES = 12
"""Decimal places kept of a division that does not end (1 ÷ 3). One that ends is exact, however
long."""

_HEX = re.compile(r"\s*0[xX]([0-9a-fA-F]{1,16})\s*")
_MAC = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})")
_SAME_IN_BOTH_BASES = re.compile(r"\s*0{0,15}([0-9])\s*")

_WIDTHS = {6: 1 << 24, 8: 1 << 32, 16: 1 << 64}
_EXACT = Context(prec=160)
_NO_TIME = frozenset({0, 0xFFFFFF, 0xFFFFFFFF})
_NO_DEMAND = -0x800000

_POWERS_OF_TEN = {10**exponent: -exponent for exponent in range(20)}


class NotAReading(ValueError):
    """The gateway said, in its way, that it has nothing to say."""


class MissingField(NotAReading):
    """The field that would say it is missing or empty."""


class TimeNotSet(ValueError):
    """There is no usable time."""


def unsigned(text: str) -> int:
    """Raises ValueError."""
    return int(_digits(text), 16)


def signed(text: str) -> int:
    """Two's complement of 24, 32 or 64 bits if written with 6, 8 or 16 digits; unsigned with any
    other number of digits.

    The vendor's manual says 24 bits in up to 6 digits, but gateways print an int32 with at least 6
    digits. Raises ValueError.
    """
    digits = _digits(text)
    number = int(digits, 16)
    modulus = _WIDTHS.get(len(digits))
    return number if modulus is None or number < modulus >> 1 else number - modulus


def demand(text: str) -> int:
    """A signed number. Raises NoReading for the sentinel (0x800000, 0xff800000), ValueError for no
    number."""
    number = signed(text)
    if number == _NO_DEMAND:
        raise NotAReading(f"{text.strip()} stands for no reading")
    return number


def factor(text: str | None) -> int:
    """A multiplier or divisor: absent, empty and zero all mean 1. Raises ValueError."""
    return (unsigned(text) or 1) if text and not text.isspace() else 1


def scaled(number: int, multiplier: int, divisor: int) -> Decimal:
    """The number times the multiplier, divided by the divisor: exact, or to PLACES places if the
    division does not end."""
    product = number * multiplier
    exponent = _POWERS_OF_TEN.get(divisor)
    if exponent is not None:
        return Decimal(product).scaleb(exponent, _EXACT)
    context = Context(prec=160, traps=[Inexact])
    try:
        return context.divide(Decimal(product), Decimal(divisor))
    except Inexact:
        return _EXACT.divide(Decimal(product), Decimal(divisor)).quantize(
            Decimal(1).scaleb(-PLACES), context=_EXACT
        )


def unix_time(text: str | None) -> int:
    """Unix seconds of a TimeStamp. Raises NoTime, saying why, for sentinels and whatever is no
    32-bit number."""
    if text is None or not text.strip():
        raise TimeNotSet("TimeStamp is missing or empty")
    try:
        seconds = unsigned(text)
    except ValueError as exc:
        raise TimeNotSet(f"TimeStamp {exc}") from None
    if seconds in _NO_TIME:
        raise TimeNotSet(f"TimeStamp {text.strip()} stands for no time")
    if seconds > 0xFFFFFFFF:
        raise TimeNotSet(f"TimeStamp {text.strip()} is no time")
    return seconds + EPOCH


def mac(text: str | None) -> str:
    """A MAC as `0x` and 16 lower-case hex digits; "" for anything else. `0x` may be missing, and
    leading zeroes."""
    match = _MAC.fullmatch(text.strip()) if text else None
    return f"0x{match[1].lower():0>16}" if match else ""


def _digits(text: str) -> str:
    match = _HEX.fullmatch(text) or _SAME_IN_BOTH_BASES.fullmatch(text)
    if match is None:
        raise ValueError(f"{text.strip()[:24]!r} is not a number of at most 16 hex digits")
    return match[1]
