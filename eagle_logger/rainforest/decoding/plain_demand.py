"""The reply that nearly every reply is, a demand as firmware spells it: read in a third of the
time, with the same outcome."""

from __future__ import annotations

import re

from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.readings import Reading
from eagle_logger.rainforest.decoding import numbers

_MAC, _NUMBER = "(0x[0-9a-f]{16})", "(0x[0-9a-fA-F]{1,8})"
_ELEMENTS = {
    "DeviceMacId": _MAC,
    "MeterMacId": _MAC,
    "TimeStamp": _NUMBER,
    "Demand": _NUMBER,
    "Multiplier": _NUMBER,
    "Divisor": _NUMBER,
    "DigitsRight": "[^<>]*",
    "DigitsLeft": "[^<>]*",
    "SuppressLeadingZero": "[^<>]*",
}
_INSIDE = "".join(rf"<{name}>{text}</{name}>\s*" for name, text in _ELEMENTS.items())
(_ROOT,) = KINDS[Kind.DEMAND].root_elements
_UNIT = KINDS[Kind.DEMAND].unit
_PLAIN = re.compile(rf"\s*<{_ROOT}>\s*{_INSIDE}</{_ROOT}>\s*", re.ASCII)


def plain_demand(text: str) -> Reading | None:
    """The reading, if the reply is such a demand and a usable one; else it must be looked at
    closely."""
    found = _PLAIN.fullmatch(text)
    if found is None:
        return None
    device, meter, stamp, demand, multiplier, divisor = found.groups()
    try:
        value = numbers.scaled(
            numbers.demand(demand), numbers.factor(multiplier), numbers.factor(divisor)
        )
        time = numbers.unix_time(stamp)
    except ValueError:
        return None
    raw = {"TimeStamp": stamp, "Demand": demand, "Multiplier": multiplier, "Divisor": divisor}
    return Reading(device, meter, Kind.DEMAND, time, {"value": value, "unit": _UNIT}, raw)
