"""What a client may ask: the body of a request, read as leniently as the real gateway reads it.

`LocalCommand` is accepted for `Command` and `DeviceMacId` for `MacId`; the case of tags is
insignificant; blank lines may lead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from eagle_logger.core.kinds import KINDS

_WHOLE = re.compile(
    rb"\s*<\s*(command|localcommand)\s*>(.*)</\s*\1\s*>\s*", re.DOTALL | re.IGNORECASE
)
_ELEMENT = re.compile(rb"<\s*(\w+)\s*>\s*([^<]*?)\s*</\s*\1\s*>", re.IGNORECASE)

_KIND_ASKED_BY = {spec.command: str(spec.kind) for spec in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Command:
    """A request's body. `mac` is the gateway it is for ("" if it does not say); `values` are its
    other elements."""

    name: str
    mac: str
    wants_json: bool
    values: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The kind of reading it asks for, or "other"."""
        return _KIND_ASKED_BY.get(self.name, "other")


def parse(body: bytes) -> Command | None:
    """The command in a request's body, or None if there is none."""
    whole = _WHOLE.fullmatch(body)
    if whole is None:
        return None
    values = {
        tag.decode("latin-1").lower(): text.decode("latin-1")
        for tag, text in _ELEMENT.findall(whole[2])
    }
    name = values.pop("name", "").lower()
    wants_json = values.pop("format", "").upper() == "JSON"
    mac = values.pop("macid", "") or values.pop("devicemacid", "")
    return Command(name, mac.lower(), wants_json, values) if name else None


def seconds(text: str | None) -> int | None:
    """A parameter's number, hexadecimal with `0x` or decimal; None if it is absent, or no number of
    32 bits."""
    try:
        number = int(text, 16 if text.lower().startswith("0x") else 10) if text else -1
    except ValueError:
        return None
    return number if 0 <= number < 2**32 else None
