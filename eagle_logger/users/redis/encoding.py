"""How users and their states are written in Redis: small, because its memory holds one of each per
user.

- A record is a JSON object.
- A state is two lines of JSON, facts and recent readings. They are deflated with a preset
  dictionary of what all states have in common, which takes a third of the memory and a few
  microseconds.
- A trouble (failures, last error, why parked) is written apart, so that a script can forgive it
  without reading the state.

A newer version may append members to the facts, and name kinds that this version does not know.
This version keeps both. A state in another format, or a damaged one, counts as empty and is
overwritten: a state only prevents duplicates, and is never the only copy of a reading. A part that
cannot be read does not stop other parts from being read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson

from eagle_logger.core.kinds import kind_of
from eagle_logger.core.readings import Stream
from eagle_logger.core.rhythm import NO_RHYTHM
from eagle_logger.core.schedule import LONGEST_INTERVAL, SHORTEST_INTERVAL
from eagle_logger.core.user_state import (
    LONGEST_TEXT,
    SLOTS_IN_AN_HOUR,
    STRANGE_HOURS_A_DAY,
    short_text,
)
from eagle_logger.core.users import Seen, User, UserState
from eagle_logger.users.redis.rhythm_encoding import is_rhythm, rhythm_as_list, rhythm_from

_compact = json.JSONEncoder(separators=(",", ":")).encode

_COMMON = (
    rb'","message",[17],"\"id\":\"0x000000\",\"text\":\"\",\"priority\":\"low\",'
    rb'\"confirmation_required\":false,\"confirmed\":null,\"queue\":\"active\""],'
    rb'"price",[,"\"price\":0,\"currency\":\"USD\",\"unit\":\"USD/kWh\",\"tier\":1,'
    rb'\"label\":\"Block 1\""],[{"demand":17,"summation":17,"price":17,"message":17}[],'
    rb'[["0xd8d5b900000","0x00135001000","0x00078100","summation",'
    rb'[,"\"delivered\":1.,\"received\":0,\"unit\":\"kWh\""],'
    rb'"demand",[,"\"value\":0.,\"unit\":\"kW\""],['
)
"""Deflate's preset dictionary. A written state can be read with this one only, so a change needs a
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
"""What reading may raise if no version wrote the bytes."""
_WHOLE = frozenset({int})
_WHOLE_OR_NONE = frozenset({int, type(None)})
_MOMENTS = frozenset({int, float})
_BEGIN_OF_TIME, _END_OF_TIME = -62_135_596_800, 253_402_300_800
"""Unix seconds: the years 1 to 9999. Other moments cannot be shown."""
_MOST_FAILURES = 2**31

Trouble = tuple[int, str | None, str | None]
"""Failures in a row, last error, why parked."""
_WELL: Trouble = (0, None, None)


def encode_user(user: User, sealed: str) -> bytes:
    record: dict[str, Any] = {"sealed": sealed}
    if user.intervals:
        record["intervals"] = dict(user.intervals)
    if user.mac_id is not None:
        record["mac_id"] = user.mac_id
    if user.in_step is not None:
        record["in_step"] = user.in_step
    return _compact(record).encode()


def decode_user(cloud_id: str, record: bytes) -> tuple[User, str]:
    """The user and its sealed password. Raises ValueError, which says what is wrong, if no version
    wrote the record."""
    try:
        members = json.loads(record)
        intervals = {
            kind_of(kind): float(seconds) for kind, seconds in members.get("intervals", {}).items()
        }
        sealed, mac_id = members["sealed"], members.get("mac_id")
        in_step = members.get("in_step")
    except _UNREADABLE as exc:
        raise ValueError(f"the record cannot be read: {exc!r}") from exc
    if not isinstance(sealed, str) or not (mac_id is None or isinstance(mac_id, str)):
        raise ValueError("the record cannot be read: a member has the wrong type")
    if not (in_step is None or isinstance(in_step, bool)):
        raise ValueError("the record cannot be read: a member has the wrong type")
    if not all(SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL for seconds in intervals.values()):
        raise ValueError("the record cannot be read: an interval is out of bounds")
    return User(cloud_id, intervals, mac_id, in_step), sealed


def with_password(record: bytes, sealed: str) -> bytes:
    """The record with another sealed password. All other members stay, even those of a newer
    version."""
    return _compact({**json.loads(record), "sealed": sealed}).encode()


def encode_state(state: UserState) -> bytes:
    """The state without the user's trouble."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -11, 5, zlib.Z_DEFAULT_STRATEGY, _COMMON)
    facts = _dumps(_facts(state))
    recent = _dumps([[*stream, *seen] for stream, seen in state.recent.items()])
    return _FORMAT + packer.compress(facts + b"\n" + recent) + packer.flush()


def decode_state(written: bytes | None, trouble: bytes | None = None) -> UserState:
    """The state of a user: an empty one for a new user, one without failures if no trouble is
    written. Recent readings are parsed at their first use, because lists of users never use them.
    Raises ValueError, which says what is wrong, if a part cannot be read."""
    state, why = read_state(written, trouble)
    if why is not None:
        raise ValueError(why)
    return state


def read_state(written: bytes | None, trouble: bytes | None = None) -> tuple[UserState, str | None]:
    """The state, and why a part of it cannot be read, or None. Such a part counts as empty."""
    state, reasons = UserState(), list[str]()
    if written:
        try:
            state = _state(written)
        except _UNREADABLE as exc:
            reasons.append(f"the state cannot be read: {exc}")
    if trouble:
        try:
            state = with_trouble(state, trouble)
        except _UNREADABLE as exc:
            reasons.append(f"what is wrong with the user cannot be read: {exc}")
    return state, "; ".join(reasons) or None


def recent_unreadable(state: UserState) -> str | None:
    """Why the recent readings of this state cannot be read, or None. If so, the state has none."""
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


def encode_trouble(state: UserState) -> bytes:
    """The user's trouble; empty if it has none."""
    trouble: Trouble = state.failures, state.last_error, state.parked
    return b"" if trouble == _WELL else _compact(trouble).encode()


def decode_trouble(written: bytes | None) -> Trouble:
    """Raises ValueError, which says what is wrong, if no version wrote the trouble."""
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
    """Compact JSON. orjson refuses lone surrogates, which a gateway may send; Python's own encoder
    takes them."""
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
        *([] if state.rhythm == NO_RHYTHM else [rhythm_as_list(state.rhythm)]),
        *state.later,
    ]


def _from_facts(facts: list[Any], recent: Mapping[Stream, tuple[Seen, ...]]) -> UserState:
    total, first, last, arrival, counts, strange, asked, *later = facts
    if not (
        {type(total), *map(type, counts), *map(type, strange)} <= _WHOLE
        and {type(first), type(last)} <= _WHOLE_OR_NONE
        and (arrival is None or type(arrival) in _MOMENTS)
        and {*map(type, asked.values())} <= _MOMENTS
    ):
        raise ValueError("a fact has the wrong type")
    moments = [moment for moment in (first, last, arrival) if moment is not None]
    if not all(_BEGIN_OF_TIME <= moment < _END_OF_TIME for moment in moments):
        raise ValueError("a moment is beyond all dates")
    rhythms = [member for member in later if is_rhythm(member)]
    return UserState(
        total_events_logged=total,
        first_timestamp=first,
        last_timestamp=last,
        last_arrival=arrival,
        asked={kind_of(kind): moment for kind, moment in asked.items()},
        recent=recent,
        recent_counts=tuple(counts[: SLOTS_IN_AN_HOUR + 1]),
        strange_hours=tuple(strange[: STRANGE_HOURS_A_DAY + 1]),
        rhythm=rhythm_from(rhythms[0]) if rhythms else NO_RHYTHM,
        later=tuple(member for member in later if not is_rhythm(member)),
    )


class _Recent(Mapping[Stream, tuple[Seen, ...]]):
    """Recent readings, parsed at their first use. Empty if they cannot be read."""

    def __init__(self, written: bytes) -> None:
        self._written = written

    @property
    def unreadable(self) -> str | None:
        return self._parsed[1]

    @property
    def _readings(self) -> dict[Stream, tuple[Seen, ...]]:
        return self._parsed[0]

    @cached_property
    def _parsed(self) -> tuple[dict[Stream, tuple[Seen, ...]], str | None]:
        try:
            return {
                Stream(device, meter, kind_of(kind)): tuple(
                    [_recent_reading(time, text) for time, text in seen]
                )
                for device, meter, kind, *seen in _loads(self._written)
            }, None
        except _UNREADABLE as exc:
            return {}, f"its recent readings cannot be read: {exc}"

    def __getitem__(self, stream: Stream) -> tuple[Seen, ...]:
        return self._readings[stream]

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._readings)

    def __len__(self) -> int:
        return len(self._readings)

    def __repr__(self) -> str:
        return repr(self._readings)


def _recent_reading(time: int, text: str) -> Seen:
    """A recent reading. Earlier versions wrote its whole text, however long."""
    if type(time) is not int:
        raise ValueError("a time is no number")
    return time, text if len(text) <= LONGEST_TEXT else short_text(text)
