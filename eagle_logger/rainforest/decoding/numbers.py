"""Rainforest's numbers: hex text to integers, exact decimals, times and MACs.

A number is `0x` and 1 to 16 hex digits; how many there are decides whether it has a sign. Without
`0x` it counts only if it means the same in base 10 and in base 16, such as `00` or `3`. A guess at
a longer one could be wrong by orders of magnitude. The sources are the vendor's manual and captured
replies (docs/reference/quirks.md, "Numbers" and "Times").
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact

EPOCH = 946_684_800
"""Rainforest's time 0, 2000-01-01T00:00:00Z, in Unix seconds (source: manual)."""

DECIMAL_PLACES = 12
"""Decimal places that are kept of a division that does not end, such as 1 ÷ 3. One that ends is
exact, however long it is."""

_HEX = re.compile(r"\s*0[xX]([0-9a-fA-F]{1,16})\s*")
_MAC = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,16})")
_SAME_IN_BOTH_BASES = re.compile(r"\s*0{0,15}([0-9])\s*")

_MODULUS_BY_DIGITS = {6: 1 << 24, 8: 1 << 32, 16: 1 << 64}
_EXACT = Context(prec=160)
_NO_TIME = frozenset({0, 0xFFFFFF, 0xFFFFFFFF})
"""Source: captured replies."""
_NO_DEMAND = -0x800000
"""Source: one other client."""

_POWERS_OF_TEN = {10**exponent: -exponent for exponent in range(20)}


class NotAReading(ValueError):
    """The gateway sent a number that stands for "no reading"."""


class MissingField(NotAReading):
    """The field that decides the value is missing or empty."""


class TimeNotSet(ValueError):
    """There is no usable time."""


def unsigned(text: str) -> int:
    """Raises ValueError."""
    return int(_hex_digits(text), 16)


def signed(text: str) -> int:
    """Two's complement of 24, 32 or 64 bits if written with 6, 8 or 16 digits; unsigned with any
    other number of digits.

    The vendor's manual says 24 bits in up to 6 digits, but gateways print 32 bits with at least 6
    digits. Raises ValueError.
    """
    digits = _hex_digits(text)
    number = int(digits, 16)
    modulus = _MODULUS_BY_DIGITS.get(len(digits))
    return number if modulus is None or number < modulus >> 1 else number - modulus


def demand(text: str) -> int:
    """A signed number. Raises NotAReading for 0x800000 and 0xff800000, which stand for "no
    reading", and ValueError for what is no number."""
    number = signed(text)
    if number == _NO_DEMAND:
        raise NotAReading(f"{text.strip()} stands for no reading")
    return number


def factor(text: str | None) -> int:
    """A Multiplier or Divisor: absent, empty and zero all mean 1 (source: captured replies).

    Raises ValueError.
    """
    return (unsigned(text) or 1) if text and not text.isspace() else 1


def scaled(number: int, multiplier: int, divisor: int) -> Decimal:
    """The number times the multiplier, divided by the divisor: exact, or to DECIMAL_PLACES places
    if the division does not end."""
    product = number * multiplier
    exponent = _POWERS_OF_TEN.get(divisor)
    if exponent is not None:
        return Decimal(product).scaleb(exponent, _EXACT)
    context = Context(prec=160, traps=[Inexact])
    try:
        return context.divide(Decimal(product), Decimal(divisor))
    except Inexact:
        return _EXACT.divide(Decimal(product), Decimal(divisor)).quantize(
            Decimal(1).scaleb(-DECIMAL_PLACES), context=_EXACT
        )


def unix_time(text: str | None) -> int:
    """The Unix seconds of a TimeStamp, which counts seconds since 2000.

    Raises TimeNotSet for what stands for "no time" (0x0, 0xffffff, 0xffffffff, empty, missing) and
    for what is no number of 32 bits.
    """
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
    """A MAC as `0x` and 16 lower-case hex digits; "" for anything else.

    Some firmware leaves out the `0x`, or leading zeroes.
    """
    match = _MAC.fullmatch(text.strip()) if text else None
    return f"0x{match[1].lower():0>16}" if match else ""


def _hex_digits(text: str) -> str:
    match = _HEX.fullmatch(text) or _SAME_IN_BOTH_BASES.fullmatch(text)
    if match is None:
        raise ValueError(f"{text.strip()[:24]!r} is not a number of at most 16 hex digits")
    return match[1]
