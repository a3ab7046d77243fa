"""How a user's state moves on: what has been logged already, and what a visit changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.line_format import value_text
from eagle_logger.core.readings import Reading, Stream, Undated
from eagle_logger.core.users import Seen, UserState

MOST_STREAMS = 16
"""Streams that a user's state remembers: those that were logged last. A gateway has four for each
meter."""

LONGEST_TEXT = 128
"""Characters. The state holds longer values as a digest, because a message may have any length."""

SLOT = 600
"""Seconds: readings logged lately are counted in slots this long."""
SLOTS_IN_AN_HOUR = 6

STRANGE_HOURS_A_DAY = 48
"""A gateway that dates its readings into more hours than these, other than the current one, in one
day has no usable clock."""

_DAY = 86400


def seen(reading: Reading) -> Seen:
    return reading.time, short_text(value_text(reading.values))


def short_text(text: str) -> str:
    """What a state holds for these values: their text, or for a long one `#` and its digest (no
    values begin with `#`). Equal values give equal texts. A text that was shortened before stays as
    it is."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"#{hashlib.blake2b(text.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def newest_streams(recent: Mapping[Stream, tuple[Seen, ...]]) -> dict[Stream, tuple[Seen, ...]]:
    """The last `MOST_STREAMS` of these streams, which stand in the order in which they were logged."""
    return dict(islice(recent.items(), max(0, len(recent) - MOST_STREAMS), None))


def is_logged(state: UserState, reading: Reading) -> bool:
    """Whether this very reading, identity and value, is among the recent ones. In doubt it is not."""
    recent = state.recent.get(reading.stream, ())
    return any(time == reading.time for time, _ in recent) and seen(reading) in recent


def is_unchanged(state: UserState, undated: Undated) -> bool:
    """Whether the last reading of this stream had the same values, be it dated or not.

    One reply may hold several readings without a time. They were logged under one arrival, so each
    of them is the last.
    """
    recent = state.recent.get(undated.stream, ())
    return bool(recent) and (recent[-1][0], short_text(value_text(undated.values))) in recent


def has_been_answered(state: UserState) -> bool:
    """Whether a gateway has ever answered for this user."""
    return bool(state.asked) or state.total_events_logged > 0


def values_before(state: UserState, reading: Reading) -> Mapping[str, Any]:
    """The values (numbers as Decimal) of the newest remembered reading of this stream whose own
    time is before this one's."""
    earlier = [one for one in state.recent.get(reading.stream, ()) if one[0] < reading.time]
    text = max(earlier)[1] if earlier else ""
    if text.startswith("#"):
        return {}  # the state holds only the values' digest
    found = json.loads(f"{{{text}}}", parse_float=Decimal, parse_int=Decimal)
    return found if isinstance(found, dict) else {}


def filing_hour(state: UserState, reading: Reading, arrived: float) -> tuple[Hour, UserState]:
    """The hour whose file a reading goes to, and the state that remembers so.

    Its own hour; but a gateway whose clock has strewn its readings over too many other hours today
    is filed by hour of arrival (the caller flags the line).
    """
    own, current = Hour.of(reading.time), Hour.of(arrived)
    if own == current:
        return own, state
    today = int(arrived // _DAY)
    hours = state.strange_hours[1:] if state.strange_hours[:1] == (today,) else ()
    if own.start in hours:
        return own, state
    if len(hours) >= STRANGE_HOURS_A_DAY:
        return current, state
    return own, state._replace(strange_hours=(today, *hours, own.start))


def after_logging(state: UserState, readings: Sequence[Reading], arrived: float) -> UserState:
    """The state once these readings' lines are on disk."""
    if not readings:
        return state
    times = [reading.time for reading in readings]
    return state._replace(
        total_events_logged=state.total_events_logged + len(readings),
        first_timestamp=min(times)
        if state.first_timestamp is None
        else min(state.first_timestamp, *times),
        last_timestamp=max(times)
        if state.last_timestamp is None
        else max(state.last_timestamp, *times),
        last_arrival=arrived,
        recent=_remembering(state.recent, readings),
        recent_counts=_counted(state.recent_counts, len(readings), arrived),
    )


def after_asking(state: UserState, kinds: Iterable[Kind], asked: float) -> UserState:
    """The state once these kinds were asked for, whatever was answered."""
    return state._replace(asked={**state.asked, **dict.fromkeys(kinds, asked)})


def after_success(state: UserState) -> UserState:
    return (
        state
        if not state.failures and state.last_error is None
        else state._replace(failures=0, last_error=None)
    )


def after_failure(state: UserState, why: str, *, park: bool = False) -> UserState:
    return state._replace(failures=state.failures + 1, last_error=why, parked=why if park else None)


def readings_in_the_last_hour(recent_counts: Sequence[int], now: float) -> int:
    """Readings logged in the last hour, to the nearest ten minutes, from a state's `recent_counts`."""
    slot = int(now // SLOT)
    if not recent_counts:
        return 0
    newest, *counts = recent_counts
    return sum(counts[: max(0, SLOTS_IN_AN_HOUR - (slot - newest))])


def _remembering(
    recent: Mapping[Stream, tuple[Seen, ...]], readings: Sequence[Reading]
) -> dict[Stream, tuple[Seen, ...]]:
    """The readings that the state remembers from now on. The stream that was logged last stands
    last."""
    updated = dict(recent)
    for reading in readings:
        kept = (*updated.pop(reading.stream, ()), seen(reading))
        updated[reading.stream] = kept[-KINDS[reading.kind].kept_per_stream :]
    return updated if len(updated) <= MOST_STREAMS else newest_streams(updated)


def _counted(counts: tuple[int, ...], more: int, now: float) -> tuple[int, ...]:
    slot = int(now // SLOT)
    if not counts:
        return slot, more
    newest, *kept = counts
    if slot <= newest:
        return newest, kept[0] + more, *kept[1:]
    gap = min(slot - newest - 1, SLOTS_IN_AN_HOUR)
    return slot, *([more] + [0] * gap + kept)[:SLOTS_IN_AN_HOUR]
