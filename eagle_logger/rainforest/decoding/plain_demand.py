"""A short way for the reply that nearly every reply is: one demand, spelled as firmware spells it.

It takes a quarter of the time of the long way (`decode.decode_text`), and its outcome is the same.
"""

from __future__ import annotations

import re

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.readings import Reading
from eagle_logger.rainforest.decoding import numbers

_MAC, _NUMBER, _ANYTHING = "(0x[0-9a-f]{16})", "(0x[0-9a-fA-F]{1,8})", "[^<>]*"
_ELEMENTS = {
    "DeviceMacId": _MAC,
    "MeterMacId": _MAC,
    "TimeStamp": _NUMBER,
    "Demand": _NUMBER,
    "Multiplier": _NUMBER,
    "Divisor": _NUMBER,
    "DigitsRight": _ANYTHING,
    "DigitsLeft": _ANYTHING,
    "SuppressLeadingZero": _ANYTHING,
}
_INSIDE = "".join(rf"<{name}>{text}</{name}>\s*" for name, text in _ELEMENTS.items())
(_ROOT,) = KINDS[Kind.DEMAND].root_elements
_UNIT = KINDS[Kind.DEMAND].unit
_PLAIN = re.compile(rf"\s*<{_ROOT}>\s*{_INSIDE}</{_ROOT}>\s*", re.ASCII)


def plain_demand(text: str) -> Reading | None:
    """The reading, or None if the reply is not such a demand, or its demand or time is not usable:
    then it takes the long way."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    device, meter, stamp, demand, multiplier, divisor = match.groups()
    try:
        value = numbers.scaled(
            numbers.demand(demand), numbers.factor(multiplier), numbers.factor(divisor)
        )
        time = numbers.unix_time(stamp)
    except ValueError:
        return None
    raw = {"TimeStamp": stamp, "Demand": demand, "Multiplier": multiplier, "Divisor": divisor}
    return Reading(device, meter, Kind.DEMAND, time, {"value": value, "unit": _UNIT}, raw)
