"""Log lines, read just far enough to order and compare them.

Almost every line is spelled as `core.line_format` writes it, or as an older version wrote it (a
whole decimal as `10`, not `10.0`). One regular expression takes such a line apart, many times
faster than a JSON parser does. It matches only lines that are whole, valid and canonical;
`parse_line` reads all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import islice
from operator import lt
from typing import NamedTuple

from eagle_logger.core.hours import iso
from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.line_format import VERSION, parse_line

Identity = tuple[bytes, bytes, bytes, bytes]
"""Time, device, meter and kind, as text."""


class LogLine(NamedTuple):
    """A line and what it is ordered and compared by, all as text. `time` and `arrived` are ISO 8601
    in UTC and of fixed width, so entries sort as they stand. `values` is canonical (see
    `core.line_format.value_text`); `text` has no newline."""

    time: bytes
    device: bytes
    meter: bytes
    kind: bytes
    arrived: bytes
    values: bytes
    text: bytes

    @property
    def identity(self) -> Identity:
        return self[:4]


def _several(item: str) -> str:
    return f"{item}(?:,{item})*"


_PLAIN = r"[ !#-\[\]-~]*+"  # the inside of a string in ASCII, with nothing that needs an escape
_DIGITS = r"-?(?:0|[1-9][0-9]*+)"
_COMPARED = (
    rf"(?!-0,){_DIGITS}(?:\.[0-9]*[1-9])?"  # a number as `core.line_format.value_text` spells it
)
_NUMBER = rf"(?!-0(?:\.0)?,){_DIGITS}(?:\.(?:[0-9]*[1-9]|0(?![0-9])))?"  # as `value_text` spells it, or as a line does (`10.0`)
_NAME = r"(?!(?:v|cloud_id|device|meter|kind|time|arrived|raw|flags)\")[a-z_]+"
_MAC = r"(?:0x[0-9a-f]{16})?"
_MINUTE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_FLAG = r'"(?:not_set|future|long_past|backwards|conflict|filed_by_arrival)"'
_DEMAND = rf'"value":{_COMPARED},"unit":"{KINDS[Kind.DEMAND].unit}"'  # by far most lines have exactly these values
_OTHERS = _several(rf'"{_NAME}":(?:{_NUMBER}|"{_PLAIN}"|null|true|false)')
_RAW = _several(f'"{_PLAIN}":"{_PLAIN}"')
_KIND = "|".join(KINDS)
_REST = rf',"raw":{{(?:{_RAW})?}},"flags":\[(?:{_several(_FLAG)})?\]}}'
_LINE = (
    rf'{{"v":{VERSION},"cloud_id":"([0-9a-f]{{6}})","device":"({_MAC})","meter":"({_MAC})",'
    rf'"kind":"({_KIND})","time":"({_MINUTE}Z)","arrived":"({_MINUTE}\.[0-9]{{3}}Z)",(?:({_DEMAND})|({_OTHERS})){_REST}'
).encode()
_CANONICAL = re.compile(_LINE)
_CANONICAL_LINES = re.compile(b"^" + _LINE + b"$", re.MULTILINE)
_DEMANDS = 7
"""The number of `_DEMAND`'s group. Its text needs no change before it is compared."""
_IN_ORDER = (5, 2, 3, 4, 6, _DEMANDS, 0)
"""An entry's members among the groups."""
_STREAM = re.compile(
    rf'([0-9a-f]{{6}})","device":"{_MAC}","meter":"{_MAC}","kind":"(?:{_KIND})'.encode()
)
_STREAMS_AND_MOMENTS = re.compile(
    (
        rf'{{"v":{VERSION},"cloud_id":"([^,]*+,"device":"[^,]*+,"meter":"[^,]*+,"kind":"[a-z]*+)",'
        rf'"time":"({_MINUTE}Z","arrived":"{_MINUTE}\.[0-9]{{3}}Z)",(?:{_DEMAND}|{_OTHERS}){_REST}\n|(?s:.+)'
    ).encode()
)
"""The same lines with whose they are and what orders them in two pieces, which sort as the members
in them do; and all that follows from the first byte on that is in no such line, as one piece more,
with nothing in them. What stands for a stream is still to be looked at: there are few in a file."""
_TIME, _ARRIVED = len("2015-03-10T17:00:00Z"), len('2015-03-10T17:00:00Z","arrived":"')
"""Where the second piece's time ends, and where its arrival begins."""

_WHOLE = re.compile(rb'(":-?[0-9]+)\.0(?=,|$)')
"""A whole decimal among the values of a canonical line. No string matches: canonical strings hold
no quotes."""

_START = b'{"v":'


@lru_cache(maxsize=1024)
def _is_a_day(text: bytes) -> bool:
    try:
        datetime.fromisoformat(text.decode())
    except ValueError:
        return False
    return True


def read_entry(text: bytes, cloud_id: str) -> LogLine:
    """An entry of this user's file. Raises ValueError, saying what is wrong, for anything we did
    not write there."""
    match = _CANONICAL.fullmatch(text)
    if match and _is_a_day(match[5][:10]) and _is_a_day(match[6][:10]):
        owner, entry = match[1], _entry(match)
    else:
        owner, entry = _parsed(text)
    if owner != cloud_id.encode():
        raise ValueError(f"a line of the user {owner.decode()}")
    return entry


def read_entries(data: bytes, cloud_id: str) -> tuple[list[LogLine], list[tuple[bytes, str]]]:
    """The entries of a user's file or object, and beside them what cannot be read there, each with
    the reason.

    Where something torn lies in front of a whole line, the line is read and the rest is set apart.
    """
    entries = _all_canonical(data, cloud_id)
    return (entries, []) if entries is not None else _read_one_by_one(data, cloud_id)


def in_order(data: bytes, cloud_id: str) -> list[bytes] | None:
    """The times of the lines of a user's file or object that needs nothing done to it: whole lines
    as we write them, in order, and no identity twice. Almost every file is like that, and then no
    entry need be made. None in any other case."""
    found = _STREAMS_AND_MOMENTS.findall(data)
    streams, times = [stream for stream, _ in found], [moments[:_TIME] for _, moments in found]
    identities = list(zip(times, streams, strict=True))
    sound = (
        all(_is_stream_of(cloud_id, stream) for stream in set(streams))
        and _are_days(times)
        and _are_days(moments[_ARRIVED:] for _, moments in found)
        and all(map(lt, identities, islice(identities, 1, None)))
    )
    return times if times and sound else None


def _is_stream_of(cloud_id: str, stream: bytes) -> bool:
    match = _STREAM.fullmatch(stream)
    return match is not None and match[1] == cloud_id.encode()


def _all_canonical(data: bytes, cloud_id: str) -> list[LogLine] | None:
    """The entries, in one pass, if there is nothing but this user's lines as we write them; None in
    any other case."""
    lines = _own_lines(data, cloud_id)
    if not lines:
        return None
    entries = [
        LogLine._make(line.group(*_IN_ORDER)) if line.lastindex == _DEMANDS else _entry(line)
        for line in _CANONICAL_LINES.finditer(data)
    ]
    sound = _are_days(entry.time for entry in entries) and _are_days(
        entry.arrived for entry in entries
    )
    return entries if len(entries) == lines and sound else None


def _entry(line: re.Match[bytes]) -> LogLine:
    """The entry of a canonical line."""
    _, device, meter, kind, time, arrived, demand, others = line.groups()
    return LogLine(
        time, device, meter, kind, arrived, demand or _WHOLE.sub(rb"\1", others), line[0]
    )


def _own_lines(data: bytes, cloud_id: str) -> int:
    """How many lines there are, if all of them begin as this user's do, otherwise 0."""
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    own = f'{{"v":{VERSION},"cloud_id":"{cloud_id}",'.encode()
    return lines if data.startswith(own) and data.count(b"\n" + own) + 1 == lines else 0


def _are_days(moments: Iterable[bytes]) -> bool:
    return all(map(_is_a_day, {moment[:10] for moment in moments}))


def _read_one_by_one(data: bytes, cloud_id: str) -> tuple[list[LogLine], list[tuple[bytes, str]]]:
    entries: list[LogLine] = []
    unreadable: list[tuple[bytes, str]] = []
    for text in data.split(b"\n"):
        if text:
            try:
                entries.append(read_entry(text, cloud_id))
            except (ValueError, ArithmeticError) as exc:
                whole = _whole_line_behind(text, cloud_id)
                entries += whole
                unreadable.append((text.removesuffix(whole[0].text) if whole else text, str(exc)))
    return entries, unreadable


def _whole_line_behind(torn: bytes, cloud_id: str) -> list[LogLine]:
    start = torn.rfind(_START)
    if start <= 0:
        return []
    try:
        return [read_entry(torn[start:], cloud_id)]
    except (ValueError, ArithmeticError):
        return []


def said(entries: Iterable[LogLine]) -> dict[Identity, set[bytes]]:
    """Which values these entries hold, by identity."""
    found: dict[Identity, set[bytes]] = {}
    for entry in entries:
        found.setdefault(entry.identity, set()).add(entry.values)
    return found


def _parsed(text: bytes) -> tuple[bytes, LogLine]:
    try:
        line = parse_line(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    device, meter, kind, time = line.identity
    entry = LogLine(
        time=_bytes(iso(time)),
        device=_bytes(device),
        meter=_bytes(meter),
        kind=_bytes(kind),
        arrived=_bytes(iso(line.arrived, milliseconds=True)),
        values=_bytes(line.values),
        text=text,
    )
    return _bytes(line.cloud_id), entry


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")
