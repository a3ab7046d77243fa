"""What a client asks: the body of a request, read as leniently as the real gateway reads it.

Clients of the relay spell the same command in different ways, and all of them work (captured):
`LocalCommand` for `Command`, `DeviceMacId` for `MacId`, tags in any case, blank lines in front.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_logger.core.kinds import KINDS

_BODY = re.compile(
    rb"\s*<\s*(command|localcommand)\s*>(.*)</\s*\1\s*>\s*", re.DOTALL | re.IGNORECASE
)
_ELEMENT = re.compile(rb"<\s*(\w+)\s*>\s*([^<]*?)\s*</\s*\1\s*>", re.IGNORECASE)

_KIND_BY_COMMAND = {spec.command: str(spec.kind) for spec in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    mac: str
    """The MAC of the gateway that should answer; "" if the request names none."""
    wants_json: bool
    values: Mapping[str, str]
    """The text of all other elements, by tag in lower case."""

    @property
    def kind(self) -> str:
        """The kind of reading that the command asks for, or "other"."""
        return _KIND_BY_COMMAND.get(self.name, "other")


def parse(body: bytes) -> Command | None:
    """The command in a request's body; None if the body holds none."""
    match = _BODY.fullmatch(body)
    if match is None:
        return None
    values = {
        tag.decode("latin-1").lower(): text.decode("latin-1")
        for tag, text in _ELEMENT.findall(match[2])
    }
    name = values.pop("name", "").lower()
    wants_json = values.pop("format", "").upper() == "JSON"
    mac = values.pop("macid", "") or values.pop("devicemacid", "")
    return Command(name, mac.lower(), wants_json, values) if name else None


def parse_number(text: str | None) -> int | None:
    """A parameter's number, hexadecimal with `0x` or decimal.

    None if the parameter is absent, or is no unsigned number of 32 bits.
    """
    try:
        number = int(text, 16 if text.lower().startswith("0x") else 10) if text else -1
    except ValueError:
        return None
    return number if 0 <= number < 2**32 else None
