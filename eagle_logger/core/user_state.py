"""How a user's state changes: what is logged already, and what a visit adds."""

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
"""A user's state remembers this many streams, those that were logged last. A gateway has four for
each meter."""

LONGEST_TEXT = 128
"""Characters. A state holds a digest of longer values, because a message may have any length."""

SLOT_S = 600
"""Recent readings are counted in slots of this many seconds."""
SLOTS_IN_AN_HOUR = 6

STRANGE_HOURS_A_DAY = 48
"""If a gateway dates the readings of one day into more hours than these, besides the current hour,
its clock is not usable."""

_DAY = 86400


def recent_reading(reading: Reading) -> Seen:
    """What a state remembers of a reading."""
    return reading.time, short_text(value_text(reading.values))


def short_text(text: str) -> str:
    """What a state holds of a reading's values: their text, or if it is long, `#` and its digest.

    Equal values give equal texts. No values begin with `#`, and a text that was shortened before
    stays as it is.
    """
    if len(text) <= LONGEST_TEXT:
        return text
    return f"#{hashlib.blake2b(text.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def newest_streams(recent: Mapping[Stream, tuple[Seen, ...]]) -> dict[Stream, tuple[Seen, ...]]:
    """The last `MOST_STREAMS` of these streams. They are in the order in which they were logged."""
    return dict(islice(recent.items(), max(0, len(recent) - MOST_STREAMS), None))


def is_logged(state: UserState, reading: Reading) -> bool:
    """Whether this reading, identity and values, is among the recent ones. A logged reading that is
    not remembered any more is logged again, and sealing drops it."""
    recent = state.recent.get(reading.stream, ())
    # Values become text only if the time is known: most readings are new.
    return any(time == reading.time for time, _ in recent) and recent_reading(reading) in recent


def is_unchanged(state: UserState, undated: Undated) -> bool:
    """Whether the last reading of this stream had the same values, with or without a time of its
    own.

    If the last reply held several readings without a time, each of them counts as the last: all
    were logged under one arrival.
    """
    recent = state.recent.get(undated.stream, ())
    return bool(recent) and (recent[-1][0], short_text(value_text(undated.values))) in recent


def has_been_answered(state: UserState) -> bool:
    """Whether a gateway has ever answered for this user."""
    return bool(state.asked) or state.total_events_logged > 0


def values_before(state: UserState, reading: Reading) -> Mapping[str, Any]:
    """The values of the newest remembered reading of this stream whose own time is before this
    reading's; numbers are Decimal. Empty if there is none, or only a digest of its values."""
    earlier = [
        recent for recent in state.recent.get(reading.stream, ()) if recent[0] < reading.time
    ]
    text = max(earlier)[1] if earlier else ""
    if text.startswith("#"):
        return {}
    values = json.loads(f"{{{text}}}", parse_float=Decimal, parse_int=Decimal)
    return values if isinstance(values, dict) else {}


def filing_hour(state: UserState, reading: Reading, arrived: float) -> tuple[Hour, UserState]:
    """The hour whose file a reading goes into, and the state that remembers this hour.

    It is the hour of the reading's own time. But if a gateway's clock has spread the readings of
    today over too many other hours, it is the hour of arrival; the caller then flags the line.
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
    first, last = min(times), max(times)
    if state.first_timestamp is not None:
        first = min(first, state.first_timestamp)
    if state.last_timestamp is not None:
        last = max(last, state.last_timestamp)
    return state._replace(
        total_events_logged=state.total_events_logged + len(readings),
        first_timestamp=first,
        last_timestamp=last,
        last_arrival=arrived,
        recent=_recent_after(state.recent, readings),
        recent_counts=_counts_after(state.recent_counts, len(readings), arrived),
    )


def after_asking(state: UserState, kinds: Iterable[Kind], asked: float) -> UserState:
    """The state once these kinds were asked for at `asked`, whatever the answer was."""
    return state._replace(asked={**state.asked, **dict.fromkeys(kinds, asked)})


def after_success(state: UserState) -> UserState:
    if not state.failures and state.last_error is None:
        return state
    return state._replace(failures=0, last_error=None)


def after_failure(state: UserState, error: str, *, park: bool = False) -> UserState:
    failures, parked = state.failures + 1, error if park else None
    return state._replace(failures=failures, last_error=error, parked=parked)


def readings_in_the_last_hour(recent_counts: Sequence[int], now: float) -> int:
    """How many readings were logged in the last hour, to the nearest ten minutes. `recent_counts`
    are a state's."""
    slot = int(now // SLOT_S)
    if not recent_counts:
        return 0
    newest, *counts = recent_counts
    return sum(counts[: max(0, SLOTS_IN_AN_HOUR - (slot - newest))])


def _recent_after(
    recent: Mapping[Stream, tuple[Seen, ...]], readings: Sequence[Reading]
) -> dict[Stream, tuple[Seen, ...]]:
    updated = dict(recent)
    for reading in readings:
        # `pop` and insert, so that the stream that was logged last comes last.
        kept = (*updated.pop(reading.stream, ()), recent_reading(reading))
        updated[reading.stream] = kept[-KINDS[reading.kind].kept_per_stream :]
    return updated if len(updated) <= MOST_STREAMS else newest_streams(updated)


def _counts_after(counts: tuple[int, ...], more: int, now: float) -> tuple[int, ...]:
    """A state's `recent_counts` once `more` readings are logged at `now`."""
    slot = int(now // SLOT_S)
    if not counts:
        return slot, more
    newest, *by_slot = counts
    if slot <= newest:
        return newest, by_slot[0] + more, *by_slot[1:]
    empty_slots = [0] * min(slot - newest - 1, SLOTS_IN_AN_HOUR)
    return slot, *[more, *empty_slots, *by_slot][:SLOTS_IN_AN_HOUR]
