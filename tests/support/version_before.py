"""How a former version (4a5c825, which wrote `10` for `10.0`) read lines. Today's version must
write nothing that it could not read, so that a rollback stays possible.

That version read canonical lines by a regular expression, and all others by a parser. `read_entry`
gives the fields by which it compared lines.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def _several(item: str) -> str:
    return f"{item}(?:,{item})*"


_PLAIN = r"[ !#-\[\]-~]*+"
_NUMBER = r"(?!-0[,}])-?(?:0|[1-9][0-9]*+)(?:\.[0-9]*[1-9])?"
_NAME = r"(?!(?:v|cloud_id|device|meter|kind|time|arrived|raw|flags)\")[a-z_]+"
_MAC = r"(?:0x[0-9a-f]{16})?"
_MINUTE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_FLAGS = ("not_set", "future", "long_past", "backwards", "conflict", "filed_by_arrival")
_KINDS = ("demand", "summation", "price", "message")
_FLAG = '"(?:' + "|".join(_FLAGS) + ')"'
_VALUES = _several(rf'"{_NAME}":(?:{_NUMBER}|"{_PLAIN}"|null|true|false)')
_RAW = _several(f'"{_PLAIN}":"{_PLAIN}"')
_CANONICAL = re.compile(
    (
        rf'{{"v":1,"cloud_id":"([0-9a-f]{{6}})","device":"({_MAC})","meter":"({_MAC})",'
        rf'"kind":"({"|".join(_KINDS)})","time":"({_MINUTE}Z)","arrived":"({_MINUTE}\.[0-9]{{3}}Z)",({_VALUES})'
        rf',"raw":{{(?:{_RAW})?}},"flags":\[(?:{_several(_FLAG)})?\]}}'
    ).encode()
)
_ENVELOPE = frozenset(
    {"v", "cloud_id", "device", "meter", "kind", "time", "arrived", "raw", "flags"}
)


def read_entry(text: bytes) -> tuple[str, str, str, str, str]:
    """Time, device, meter, kind and values. Raises ValueError."""
    match = _CANONICAL.fullmatch(text)
    if match:
        _, device, meter, kind, time, _, values = (group.decode() for group in match.groups())
        return time, device, meter, kind, values
    data = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    if data["v"] != 1 or data["kind"] not in _KINDS or not set(data["flags"]) <= set(_FLAGS):
        raise ValueError(f"unknown to that version: {text!r}")
    time = datetime.fromisoformat(data["time"]).astimezone(UTC).isoformat().replace("+00:00", "Z")
    values = ",".join(
        f"{_text(name)}:{_member(value)}" for name, value in data.items() if name not in _ENVELOPE
    )
    return time, data["device"], data["meter"], data["kind"], values


def as_it_wrote(line: bytes) -> bytes:
    """A line as that version spelled it: whole decimals without `.0`. The line's strings must hold
    no quotes."""
    head, raw, rest = line.partition(b',"raw":{')
    return re.sub(rb'(":-?[0-9]+)\.0(?=,|$)', rb"\1", head) + raw + rest


_text = json.JSONEncoder(ensure_ascii=False).encode


def _member(value: Any) -> str:
    if not isinstance(value, Decimal):
        return _text(value)
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
