"""A log line: one reading as one JSON object, written once and read for years. On one line:

    {"v":1,"cloud_id":"002738","device":"0xd8d5b9000000abcd","meter":"0x0013500100000001",
     "kind":"demand","time":"2015-03-10T17:54:01Z","arrived":"2015-03-10T17:54:05.250Z",
     "value":0.944,"unit":"kW",
     "raw":{"TimeStamp":"0x1c91ec39","Demand":"0x0003b0","Multiplier":"0x1","Divisor":"0x3e8"},
     "flags":[]}

Numbers are written as exact decimals and read back as Decimal. The raw fields allow a decoder's
mistake to be repaired later. A whole decimal ends in `.0`; otherwise a reader that infers types
takes the column for integers and rounds every other value. Older versions wrote `10` for `10.0`;
both mean the same.

A newer version may write kinds, flags and members that this one does not know, or another `v`. This
version reads such a line as far as order and comparison need it, and archives it byte for byte: it
never discards what a newer version wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from eagle_logger.core.hours import iso
from eagle_logger.core.kinds import kind_of
from eagle_logger.core.readings import Flag, Identity, Reading, Value, flag_of

VERSION = 1

_ENVELOPE = frozenset(
    {"v", "cloud_id", "device", "meter", "kind", "time", "arrived", "raw", "flags"}
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FLAGS_AT_THE_END = re.compile(rb',"flags":\[[^\[\]{}]*\]\}\Z')
_json = json.JSONEncoder(
    ensure_ascii=False, default=lambda number: {"\0number": str(number)}
).encode
"""JSON of any value. Only a newer version writes a Decimal inside a list or an object. It gets a
spelling here that no other value has, which is enough to compare lines."""
_string = json.encoder.encode_basestring
"""JSON of a string: faster than `_json`, which first finds out that it is one."""


def number_text(value: Decimal) -> str:
    """A JSON number that is exactly this decimal, without exponent or needless zeroes."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal_text(value: Decimal) -> str:
    """The number as a log line spells it: like `number_text`, but a whole number ends in `.0`."""
    text = number_text(value)
    return text if "." in text else f"{text}.0"


def _members(values: Mapping[str, Value], number: Callable[[Decimal], str]) -> str:
    return ",".join([f"{_string(name)}:{_member(value, number)}" for name, value in values.items()])


def _member(value: Value, number: Callable[[Decimal], str]) -> str:
    if isinstance(value, Decimal):
        return number(value)
    return _string(value) if isinstance(value, str) else _json(value)


def value_text(values: Mapping[str, Value]) -> str:
    """A reading's values in one canonical spelling, by which lines and states are compared: two
    texts are equal exactly when the values are. A log line spells whole decimals differently."""
    return _members(values, number_text)


def encode_line(
    cloud_id: str, reading: Reading, arrived: float, flags: Iterable[Flag] = ()
) -> bytes:
    """The line, with its newline, of a reading that arrived at `arrived` (Unix seconds). It has the
    reading's own flags and these `flags`."""
    all_flags = ",".join([_string(flag) for flag in sorted(reading.flags.union(flags))])
    raw = ",".join([f"{_string(name)}:{_string(value)}" for name, value in reading.raw.items()])
    return (
        f'{{"v":{VERSION},"cloud_id":"{cloud_id}",'
        f'"device":{_string(reading.device)},"meter":{_string(reading.meter)},'
        f'"kind":"{reading.kind}",'
        f'"time":"{iso(reading.time)}","arrived":"{iso(arrived, milliseconds=True)}",'
        f'{_members(reading.values, _decimal_text)},"raw":{{{raw}}},"flags":[{all_flags}]}}\n'
    ).encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """A log line, read back."""

    text: bytes
    """The line exactly as it was, without its newline."""
    cloud_id: str
    identity: Identity
    values: str
    """Canonical, as `value_text` gives them. Two lines hold the same reading exactly when their
    identity and values are equal."""
    arrived: float
    flags: frozenset[Flag]
    data: Mapping[str, Any]
    """The whole JSON object. Its numbers are Decimal."""

    @property
    def time(self) -> int:
        return self.identity.time

    @property
    def moment(self) -> float:
        """The time that counts (Unix seconds): its arrival, if its own time was not believed."""
        return self.arrived if Flag.FILED_BY_ARRIVAL in self.flags else self.time


def parse_line(text: bytes) -> ParsedLine:
    """Read one line (without its newline).

    Raises ValueError, with the reason, for a line that no version of this program wrote, and for a
    line of a newer schema whose user, stream or time is not where this schema has it."""
    data = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    is_newer = _is_newer(data.get("v"))
    try:
        identity = Identity(
            str(data["device"]),
            str(data["meter"]),
            kind_of(_name(data["kind"])),
            int(datetime.fromisoformat(data["time"]).timestamp()),
        )
        # Any member of a newer schema may have a meaning. So two such lines hold the same reading
        # only if they are equal in all but the arrival.
        left_out = {"arrived"} if is_newer else _ENVELOPE
        return ParsedLine(
            text=text,
            cloud_id=str(data["cloud_id"]),
            identity=identity,
            values=value_text(
                {name: value for name, value in data.items() if name not in left_out}
            ),
            arrived=datetime.fromisoformat(data["arrived"]).timestamp(),
            flags=frozenset(
                flag_of(_name(flag))
                for flag in (data.get("flags", []) if is_newer else data["flags"])
            ),
            data=data,
        )
    except KeyError as exc:
        raise ValueError(f"the member {exc} is missing") from exc
    except (TypeError, AttributeError) as exc:
        raise ValueError(f"a member has the wrong type: {exc}") from exc


def with_flag(line: ParsedLine, flag: Flag) -> bytes:
    """The line's text with one more flag, and otherwise the same bytes. A line of a newer schema
    stays as it is; so does a line that does not end with its flags."""
    end = _FLAGS_AT_THE_END.search(line.text)
    if flag in line.flags or end is None or _is_newer(line.data["v"]):
        return line.text
    flags = ",".join(_string(name) for name in sorted(line.flags | {flag}))
    return line.text[: end.start()] + f',"flags":[{flags}]}}'.encode()


def _is_newer(version: object) -> bool:
    """Whether a newer schema has this version. Raises ValueError if it is no schema version."""
    if (
        not isinstance(version, Decimal)
        or version < VERSION
        or version != version.to_integral_value()
    ):
        raise ValueError(f"schema version {version!r}; this program writes version {VERSION}")
    return version > VERSION


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is the name of no kind or flag")
    return value
