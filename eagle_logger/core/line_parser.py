"""Log lines, read just far enough to order and compare them.

Almost every line is canonical: it is spelled as `core.line_format` writes it, or as an older
version wrote it (a whole decimal as `10`, not `10.0`). Two regular expressions read such lines many
times faster than a JSON parser: `times_in_order` checks a whole file in one pass, and `read_line`
takes one line apart. They match only lines that are whole, valid and canonical. `parse_line` reads
all others.
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
from eagle_logger.core.readings import Flag

LineIdentity = tuple[bytes, bytes, bytes, bytes]
"""A reading's identity as its line spells it: time, device, meter and kind."""


class LogLine(NamedTuple):
    """A line, and what it is ordered and compared by, all as text.

    `time` and `arrived` are ISO 8601 in UTC and of fixed width, so lines sort as they are. `values`
    are canonical (see `core.line_format.value_text`). `text` has no newline.
    """

    time: bytes
    device: bytes
    meter: bytes
    kind: bytes
    arrived: bytes
    values: bytes
    text: bytes

    @property
    def identity(self) -> LineIdentity:
        return self[:4]


def _list_of(item: str) -> str:
    return f"{item}(?:,{item})*"


# The inside of a string in ASCII, without anything that needs an escape.
_PLAIN = r"[ !#-\[\]-~]*+"
# A number as `value_text` spells it, or as a line does: `10` or `10.0`, never `10.00` or `-0`.
_NUMBER = (
    r"(?!-0(?:\.0)?,)-?(?:0|[1-9][0-9]*+)"  # the whole part
    r"(?:\.(?:[0-9]*[1-9]|0(?![0-9])))?"  # the fraction
)
_NAME = r"(?!(?:v|cloud_id|device|meter|kind|time|arrived|raw|flags)\")[a-z_]+"
_MAC = r"(?:0x[0-9a-f]{16})?"
_SECOND = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_TIME, _ARRIVED = rf"{_SECOND}Z", rf"{_SECOND}\.[0-9]{{3}}Z"
_KIND = "|".join(KINDS)
_FLAG = rf'"(?:{"|".join(Flag)})"'
# Nearly all lines have the values of a demand: to try these first saves a tenth of the time.
_DEMAND = rf'"value":{_NUMBER},"unit":"{KINDS[Kind.DEMAND].unit}"'
_MEMBER = rf'"{_NAME}":(?:{_NUMBER}|"{_PLAIN}"|null|true|false)'
_VALUES = rf"(?:{_DEMAND}|{_list_of(_MEMBER)})"
_RAW = _list_of(f'"{_PLAIN}":"{_PLAIN}"')
_END = rf',"raw":{{(?:{_RAW})?}},"flags":\[(?:{_list_of(_FLAG)})?\]}}'

_CANONICAL_LINE = re.compile(
    (
        rf'{{"v":{VERSION},"cloud_id":"([0-9a-f]{{6}})",'
        rf'"device":"({_MAC})","meter":"({_MAC})","kind":"({_KIND})",'
        rf'"time":"({_TIME})","arrived":"({_ARRIVED})",({_VALUES}){_END}'
    ).encode()
)
"""One line in seven groups: cloud id, device, meter, kind, time, arrival, values."""

_CANONICAL_LINES = re.compile(
    (
        rf'{{"v":{VERSION},"cloud_id":"([^,]*+,"device":"[^,]*+,"meter":"[^,]*+,"kind":"[a-z]*+)",'
        rf'"time":"({_TIME}","arrived":"{_ARRIVED})",{_VALUES}{_END}\n'
        r"|(?s:.+)"
    ).encode()
)
"""Lines of a file in two groups each: whose the line is (cloud id, device, meter and kind), and its
moments (time and arrival). Both sort as the members in them do.

At the first byte that is not part of a canonical line, all the rest of the file matches as one item
whose groups are empty. So an empty group shows that the file is not canonical. The first group is
checked loosely here. A file has few different ones, and `_STREAM` checks each of those once."""
_STREAM = re.compile(
    rf'([0-9a-f]{{6}})","device":"{_MAC}","meter":"{_MAC}","kind":"(?:{_KIND})'.encode()
)
_TIME_END = len("2015-03-10T17:00:00Z")
_ARRIVED_BEGIN = len('2015-03-10T17:00:00Z","arrived":"')
"""Where the time ends within the moments, and where the arrival begins."""

_WHOLE_DECIMAL = re.compile(rb'(":-?[0-9]+)\.0(?=,|$)')
"""A whole decimal among the values of a canonical line. No string matches, because a canonical
string holds no quotes."""

_LINE_BEGIN = b'{"v":'


@lru_cache(maxsize=1024)
def _is_a_day(text: bytes) -> bool:
    try:
        datetime.fromisoformat(text.decode())
    except ValueError:
        return False
    return True


def read_line(text: bytes, cloud_id: str) -> LogLine:
    """A line of this user's file. Raises ValueError, with the reason, for anything that this
    program did not write there."""
    owner, line = _canonical(text) or _parsed(text)
    if owner != cloud_id.encode():
        raise ValueError(f"a line of the user {owner.decode()}")
    return line


def read_lines(data: bytes, cloud_id: str) -> tuple[list[LogLine], list[tuple[bytes, str]]]:
    """The lines of a user's file or object, and whatever cannot be read there, each piece with the
    reason.

    Where a torn line stands in front of a whole one, the whole one is read, and only the torn piece
    is set apart.
    """
    lines: list[LogLine] = []
    unreadable: list[tuple[bytes, str]] = []
    for text in data.split(b"\n"):
        if text:
            try:
                lines.append(read_line(text, cloud_id))
            except (ValueError, ArithmeticError) as exc:
                rescued = _whole_line_behind(text, cloud_id)
                lines += rescued
                torn = text.removesuffix(rescued[0].text) if rescued else text
                unreadable.append((torn, str(exc)))
    return lines, unreadable


def times_in_order(data: bytes, cloud_id: str) -> list[bytes] | None:
    """The times of the lines, if nothing need be done to a user's file or object before it is
    archived: canonical lines of this user, in order, and no identity twice. None otherwise.

    Almost every file is like that, and then no LogLine need be made.
    """
    items = _CANONICAL_LINES.findall(data)
    streams = [stream for stream, _ in items]
    times = [moments[:_TIME_END] for _, moments in items]
    identities = list(zip(times, streams, strict=True))
    is_sound = (
        all(_is_stream_of(cloud_id, stream) for stream in set(streams))
        and _are_days(times)
        and _are_days(moments[_ARRIVED_BEGIN:] for _, moments in items)
        and all(map(lt, identities, islice(identities, 1, None)))
    )
    return times if times and is_sound else None


def values_by_identity(lines: Iterable[LogLine]) -> dict[LineIdentity, set[bytes]]:
    values: dict[LineIdentity, set[bytes]] = {}
    for line in lines:
        values.setdefault(line.identity, set()).add(line.values)
    return values


def _is_stream_of(cloud_id: str, stream: bytes) -> bool:
    match = _STREAM.fullmatch(stream)
    return match is not None and match[1] == cloud_id.encode()


def _are_days(moments: Iterable[bytes]) -> bool:
    return all(map(_is_a_day, {moment[:10] for moment in moments}))


def _whole_line_behind(torn: bytes, cloud_id: str) -> list[LogLine]:
    begin = torn.rfind(_LINE_BEGIN)
    if begin <= 0:
        return []
    try:
        return [read_line(torn[begin:], cloud_id)]
    except (ValueError, ArithmeticError):
        return []


def _canonical(text: bytes) -> tuple[bytes, LogLine] | None:
    """The cloud id and the line; None if it is not canonical."""
    match = _CANONICAL_LINE.fullmatch(text)
    if match is None:
        return None
    owner, device, meter, kind, time, arrived, values = match.groups()
    if not (_is_a_day(time[:10]) and _is_a_day(arrived[:10])):
        return None
    if b".0" in values:
        values = _WHOLE_DECIMAL.sub(rb"\1", values)
    return owner, LogLine(time, device, meter, kind, arrived, values, text)


def _parsed(text: bytes) -> tuple[bytes, LogLine]:
    try:
        line = parse_line(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    device, meter, kind, time = line.identity
    return _bytes(line.cloud_id), LogLine(
        time=_bytes(iso(time)),
        device=_bytes(device),
        meter=_bytes(meter),
        kind=_bytes(kind),
        arrived=_bytes(iso(line.arrived, milliseconds=True)),
        values=_bytes(line.values),
        text=text,
    )


def _bytes(text: str) -> bytes:
    return text.encode(errors="backslashreplace")
