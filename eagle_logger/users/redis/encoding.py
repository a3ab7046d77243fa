"""How a user and its state are written down: small, because there is one of each per user in Redis'
memory.

A user is a JSON object. A state is two lines of JSON, facts and recent readings, deflated with a
preset dictionary of what all states have in common (a third of the memory for a few microseconds).
What is wrong with a user (failures, last error, parked) is written apart, so that a script can
forgive it without reading the rest.

A newer version appends members to a state's facts, and may name kinds that this one does not know;
this version keeps both. A state in another format, or a damaged one, counts as empty and is
overwritten: a state only prevents duplicates, and never holds the only copy of a reading. A part
that cannot be read never keeps another part from being read.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import orjson

from eagle_logger.core.kinds import kind_of
from eagle_logger.core.readings import Stream
from eagle_logger.core.schedule import LONGEST_INTERVAL, SHORTEST_INTERVAL
from eagle_logger.core.user_state import (
    LONGEST_TEXT,
    SLOTS_IN_AN_HOUR,
    STRANGE_HOURS_A_DAY,
    short_text,
)
from eagle_logger.core.users import Seen, User, UserState

_compact = json.JSONEncoder(separators=(",", ":")).encode

_COMMON = (
    rb'","message",[17],"\"id\":\"0x000000\",\"text\":\"\",\"priority\":\"low\",\"confirmation_required\":false,'
    rb'\"confirmed\":null,\"queue\":\"active\""],"price",[,"\"price\":0,\"currency\":\"USD\",\"unit\":\"USD/kWh\",\"tier\":1,'
    rb'\"label\":\"Block 1\""],[{"demand":17,"summation":17,"price":17,"message":17}[],[["0xd8d5b900000","0x00135001000",'
    rb'"0x00078100","summation",[,"\"delivered\":1.,\"received\":0,\"unit\":\"kWh\""],"demand",[,"\"value\":0.,\"unit\":\"kW\""],['
)
"""Deflate's preset dictionary. States already written cannot be read with another: a change needs a
new `_FORMAT`."""
_FORMAT = b"\x01"

_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    zlib.error,
)
"""The exceptions that bytes which no version wrote may raise while they are read."""
_WHOLE = frozenset({int})
_WHOLE_OR_NONE = frozenset({int, type(None)})
_MOMENTS = frozenset({int, float})
_BEGIN_OF_TIME, _END_OF_TIME = -62_135_596_800, 253_402_300_800
"""Unix seconds, from the year 1 to the end of the year 9999: other moments cannot be shown."""
_MOST_FAILURES = 2**31

Trouble = tuple[int, str | None, str | None]
"""Failures in a row, last error, why parked."""
_WELL: Trouble = (0, None, None)

_OUTLINE = re.compile(
    rb"\[([0-9]+),(?:[0-9]+|null),([0-9]{1,11}|null),([0-9]{1,11}(?:\.[0-9]+)?|null),\[([0-9,]*)\],"
)
"""The first of the facts of a state, as they are almost always spelled."""
_OUTLINE_WITHIN = 160
"""Bytes."""


def encode_user(user: User, sealed: str) -> bytes:
    record: dict[str, Any] = {"sealed": sealed}
    if user.intervals:
        record["intervals"] = dict(user.intervals)
    if user.mac_id is not None:
        record["mac_id"] = user.mac_id
    return _compact(record).encode()


def decode_user(cloud_id: str, record: bytes) -> tuple[User, str]:
    """The user and its sealed password. Raises ValueError, saying what is wrong, for a record that
    no version wrote."""
    try:
        members = json.loads(record)
        intervals = {
            kind_of(kind): float(seconds) for kind, seconds in members.get("intervals", {}).items()
        }
        sealed, mac_id = members["sealed"], members.get("mac_id")
    except _UNREADABLE as exc:
        raise ValueError(f"the record cannot be read: {exc!r}") from exc
    if not isinstance(sealed, str) or not (mac_id is None or isinstance(mac_id, str)):
        raise ValueError("the record cannot be read: a member has the wrong type")
    if not all(SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL for seconds in intervals.values()):
        raise ValueError("the record cannot be read: an interval is out of bounds")
    return User(cloud_id, intervals, mac_id), sealed


def with_password(record: bytes, sealed: str) -> bytes:
    """The same record with another sealed password. Other members, a newer version's included,
    stay."""
    return _compact({**json.loads(record), "sealed": sealed}).encode()


def encode_state(state: UserState) -> bytes:
    """All of it but what is wrong with the user."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -11, 5, zlib.Z_DEFAULT_STRATEGY, _COMMON)
    text = (
        _dumps(_facts(state))
        + b"\n"
        + _dumps([[*stream, *seen] for stream, seen in state.recent.items()])
    )
    return _FORMAT + packer.compress(text) + packer.flush()


def decode_state(written: bytes | None, trouble: bytes | None = None) -> UserState:
    """A user without a written state is new, one without a written trouble is well. Recent readings
    are read when they are first asked for: most who list users never do. Raises ValueError, saying
    what is wrong, if a part cannot be read."""
    state, why = read_state(written, trouble)
    if why is not None:
        raise ValueError(why)
    return state


def read_state(written: bytes | None, trouble: bytes | None = None) -> tuple[UserState, str | None]:
    """The state, and why a part of it cannot be read, if so. Parts are read separately; an
    unreadable one counts as empty."""
    state, wrong = UserState(), list[str]()
    if written:
        try:
            state = _state(written)
        except _UNREADABLE as exc:
            wrong.append(f"the state cannot be read: {exc}")
    if trouble:
        try:
            state = with_trouble(state, trouble)
        except _UNREADABLE as exc:
            wrong.append(f"what is wrong with the user cannot be read: {exc}")
    return state, "; ".join(wrong) or None


def recent_unreadable(state: UserState) -> str | None:
    """Why the recent readings of a state that was just read cannot be read, if so. The state then
    has none."""
    return state.recent.unreadable if isinstance(state.recent, _Recent) else None


def _state(written: bytes) -> UserState:
    if written[:1] != _FORMAT:
        raise ValueError("it was written by a newer version of this program, or is damaged")
    facts, newline, recent = (
        zlib.decompressobj(-11, _COMMON).decompress(written[1:]).partition(b"\n")
    )
    if not newline:
        raise ValueError("it is cut off")
    return _from_facts(_loads(facts), _Recent(recent))


def decode_outline(written: bytes | None) -> tuple[int, int | None, float | None, tuple[int, ...]]:
    """Total of events logged, last timestamp, last arrival and recent counts, as `decode_state` has
    them, without the rest."""
    with suppress(*_UNREADABLE):
        if written and written[:1] == _FORMAT:
            facts = _OUTLINE.match(
                zlib.decompressobj(-11, _COMMON).decompress(written[1:], _OUTLINE_WITHIN)
            )
            if facts:
                total, last, arrival, counts = facts.groups()
                return (
                    int(total),
                    None if last == b"null" else int(last),
                    None if arrival == b"null" else float(arrival),
                    tuple(map(int, counts.split(b","))) if counts else (),
                )
    state = decode_state(written)
    return state.total_events_logged, state.last_timestamp, state.last_arrival, state.recent_counts


def encode_trouble(state: UserState) -> bytes:
    """What is wrong with the user; empty if nothing is."""
    trouble: Trouble = state.failures, state.last_error, state.parked
    return b"" if trouble == _WELL else _compact(trouble).encode()


def decode_trouble(written: bytes | None) -> Trouble:
    if not written:
        return _WELL
    try:
        failures, last_error, parked, *_ = json.loads(written)
    except _UNREADABLE as exc:
        raise ValueError(f"it does not describe a user's failures: {exc}") from exc
    if type(failures) is not int or not 0 <= failures < _MOST_FAILURES:
        raise ValueError("the number of failures is no number")
    if not all(word is None or isinstance(word, str) for word in (last_error, parked)):
        raise ValueError("a member has the wrong type")
    return failures, last_error, parked


def with_trouble(state: UserState, trouble: bytes) -> UserState:
    failures, last_error, parked = decode_trouble(trouble)
    return state._replace(failures=failures, last_error=last_error, parked=parked)


def _dumps(value: list[Any]) -> bytes:
    """Compact JSON, by Python's own encoder only where orjson refuses: half a character, that a
    gateway made up."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return _compact(value).encode()


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def _facts(state: UserState) -> list[Any]:
    return [
        state.total_events_logged,
        state.first_timestamp,
        state.last_timestamp,
        state.last_arrival,
        state.recent_counts,
        state.strange_hours,
        state.asked,
        *state.later,
    ]


def _from_facts(facts: list[Any], recent: Mapping[Stream, tuple[Seen, ...]]) -> UserState:
    total, first, last, arrival, counts, strange, asked, *later = facts
    whole, moments = (
        {type(total), *map(type, counts), *map(type, strange)},
        {*map(type, asked.values())},
    )
    if not (
        whole <= _WHOLE and {type(first), type(last)} <= _WHOLE_OR_NONE and moments <= _MOMENTS
    ):
        raise ValueError("a fact has the wrong type")
    if arrival is not None and type(arrival) not in _MOMENTS:
        raise ValueError("a fact has the wrong type")
    if not all(
        moment is None or _BEGIN_OF_TIME <= moment < _END_OF_TIME
        for moment in (first, last, arrival)
    ):
        raise ValueError("a moment is beyond all dates")
    return UserState(
        total_events_logged=total,
        first_timestamp=first,
        last_timestamp=last,
        last_arrival=arrival,
        asked={kind_of(kind): moment for kind, moment in asked.items()},
        recent=recent,
        recent_counts=tuple(counts[: SLOTS_IN_AN_HOUR + 1]),
        strange_hours=tuple(strange[: STRANGE_HOURS_A_DAY + 1]),
        later=tuple(later),
    )


class _Recent(Mapping[Stream, tuple[Seen, ...]]):
    """Recent readings, which are parsed when they are first looked at. Empty if they cannot be
    read."""

    def __init__(self, written: bytes) -> None:
        self._written = written

    @property
    def unreadable(self) -> str | None:
        return self._found[1]

    @property
    def _read(self) -> dict[Stream, tuple[Seen, ...]]:
        return self._found[0]

    @cached_property
    def _found(self) -> tuple[dict[Stream, tuple[Seen, ...]], str | None]:
        try:
            return {
                Stream(device, meter, kind_of(kind)): tuple(
                    [_seen(time, text) for time, text in seen]
                )
                for device, meter, kind, *seen in _loads(self._written)
            }, None
        except _UNREADABLE as exc:
            return {}, f"its recent readings cannot be read: {exc}"

    def __getitem__(self, stream: Stream) -> tuple[Seen, ...]:
        return self._read[stream]

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return repr(self._read)


def _seen(time: int, text: str) -> Seen:
    """Earlier versions kept the whole text, however long."""
    if type(time) is not int:
        raise ValueError("a time is no number")
    return time, text if len(text) <= LONGEST_TEXT else short_text(text)
