"""Which readings of a home are missing, hour by hour: what the meter's own rhythm lets expect, what
is there, and the longest gap. All moments are Unix seconds.

A stream (a kind of readings from one meter) has a rhythm: the median distance between its readings.
It is taken from each hour anew, because intervals change. An hour with few readings has the rhythm
of the hour before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import median

from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import KINDS
from eagle_logger.core.readings import Stream

FEWEST_STEPS = 5
"""Distances between readings of an hour from which its rhythm is taken."""
GAP_IN_RHYTHMS = 3
"""A distance of more than so many times the rhythm is a gap. Meters are not punctual."""
_ANSWER_TAKES_S = 30.0
"""A reading that arrives so soon after the begin of a gap was asked for before it."""


class Why(StrEnum):
    """Why readings are missing, as far as what is stored tells. The order is that in which the
    reasons are tried: those that may still go away come first."""

    OPEN = "open"
    WAITING = "waiting"
    KEPT_ASIDE = "kept_aside"
    UNREADABLE = "unreadable"
    GATEWAY_ANSWERED = "gateway_answered"
    ALL_SILENT = "all_silent"
    HOME_SILENT = "home_silent"
    UNKNOWN = "unknown"


WHY_MEANS: Mapping[Why, str] = {
    Why.OPEN: "the hour is not over, or its files are not sealed yet",
    Why.WAITING: "a node still has log files of this hour that are not archived, or has not said "
    "that it has none",
    Why.KEPT_ASIDE: "lines of this hour could not be read, and lie in `logs/quarantine/`",
    Why.UNREADABLE: "an object or a line of this hour cannot be read; `eagle-logger check` names "
    "it",
    Why.GATEWAY_ANSWERED: "other readings of this home arrived during the gap, so the gateway "
    "answered: the meter was silent, or the radio between the two was disturbed",
    Why.ALL_SILENT: "no home at all has readings of this hour: nothing was collected",
    Why.HOME_SILENT: "nothing of this home arrived during the gap, while other homes have readings "
    "of this hour: its gateway or its connection was away, or it was not asked",
    Why.UNKNOWN: "what is stored does not tell",
}
"""For the data dictionary."""
GAP_MEMBERS: Mapping[str, str] = {
    "cloud_id": "the home",
    "hour": "the UTC hour, by its beginning",
    "device": "the gateway",
    "meter": "the meter",
    "kind": "`demand` or `summation`: the kinds that a meter says again and again",
    "had": "readings with different times",
    "expected": "readings that the rhythm lets expect; null if none ever showed",
    "missing": "`expected` minus `had`, never below 0",
    "rhythm": "seconds between two readings: the median of the hour, or else of the last hour that "
    "had enough; null if none ever showed",
    "longest_gap": "the longest time without a reading, in seconds; it ends at the hour's ends",
    "gap_begin": "when that began",
    "why": "the reason; null if that is no gap: not more than three times the rhythm",
}
"""The members of a row, in order, as JSON and the table have them."""


@dataclass(frozen=True, slots=True)
class GapRow:
    """What one stream of a home has of one hour."""

    cloud_id: str
    hour: Hour
    stream: Stream
    had: int
    """Readings with different times."""
    expected: int | None
    """Readings that its rhythm lets expect; None while no rhythm is known."""
    rhythm: float | None
    """Seconds between two readings."""
    longest_gap: int
    """The longest time within the hour without a reading (s). It ends at the hour's ends."""
    gap_begin: int
    """When that began."""
    why: Why | None
    """None if the longest gap is none by the stream's rhythm."""

    @property
    def missing(self) -> int:
        return max(0, (self.expected or 0) - self.had)


@dataclass(frozen=True, slots=True)
class HourOfHome:
    """What is stored of one hour of a home."""

    moments: Mapping[Stream, Sequence[int]] = field(default_factory=dict)
    """Of each stream, the moments of its readings, in any order."""
    arrivals: Sequence[float] = ()
    """When its readings of any kind arrived, in any order."""
    is_open: bool = False
    """Readings of the hour may still be fetched or sealed."""
    is_waiting: bool = False
    """Log files of the hour may wait on a node."""
    is_kept_aside: bool = False
    is_unreadable: bool = False
    homes: int | None = None
    """How many homes have readings of this hour; None if nobody knows."""


@dataclass(slots=True)
class _StreamState:
    last: int
    """The moment of its newest reading."""
    rhythm: float | None = None


@dataclass(slots=True)
class _NotRatedYet:
    """An hour of a stream whose rhythm is not known yet."""

    row: GapRow
    seconds: int
    facts: HourOfHome


class HomeGaps:
    """Takes a home's hours one after the other, and gives its rows. Memory does not depend on how
    many hours there are, once each stream has shown its rhythm."""

    def __init__(self, cloud_id: str, begin: float, end: float) -> None:
        """Rows are given for the time from `begin` until before `end`."""
        self._cloud_id = cloud_id
        self._begin, self._end = int(begin), int(end)
        self._streams: dict[Stream, _StreamState] = {}
        self._not_rated: dict[Stream, list[_NotRatedYet]] = {}

    def warm_up(self, facts: HourOfHome) -> None:
        """Learn the streams and their rhythm from an hour before the begin."""
        for stream, moments in _periodic(facts.moments):
            before = [moment for moment in moments if moment < self._begin]
            if before:
                self._streams[stream] = _StreamState(before[-1], _rhythm_of(before))

    def add(self, hour: Hour, facts: HourOfHome) -> list[GapRow]:
        """The rows of this hour, and of earlier hours for which the rhythm is only known now. Hours
        must come in order, without a hole between them."""
        begin, end = max(hour.start, self._begin), min(hour.end, self._end)
        if begin >= end:
            return []
        moments = {
            stream: within
            for stream, every in _periodic(facts.moments)
            if (within := [moment for moment in every if begin <= moment < end])
        }
        self._forget_replaced(moments)
        rows: list[GapRow] = []
        for stream in sorted({*self._streams, *moments}):
            within = moments.get(stream, [])
            if stream not in self._streams:  # it begins with its first reading
                self._streams[stream] = _StreamState(within[0])
                rows += self._rows_of(stream, [within[0], *within, end], hour, facts)
            else:
                rows += self._rows_of(stream, [begin, *within, end], hour, facts)
        return rows

    def rest(self) -> list[GapRow]:
        """The rows of streams that never showed a rhythm. Call it after the last hour."""
        rows = [waiting.row for several in self._not_rated.values() for waiting in several]
        self._not_rated.clear()
        return rows

    def _rows_of(
        self, stream: Stream, edges: list[int], hour: Hour, facts: HourOfHome
    ) -> list[GapRow]:
        """`edges`: when the stream is first expected, its readings, and the end."""
        begin, *moments, end = edges
        state = self._streams[stream]
        state.rhythm = _rhythm_of(moments) or state.rhythm
        gap_begin, longest = _longest_gap(edges)
        row = GapRow(
            cloud_id=self._cloud_id,
            hour=hour,
            stream=stream,
            had=len(moments),
            expected=None,
            rhythm=None,
            longest_gap=longest,
            gap_begin=gap_begin,
            why=None,
        )
        state.last = max([state.last, *moments])
        waiting = self._not_rated.setdefault(stream, [])
        waiting.append(_NotRatedYet(row, end - begin, facts))
        if state.rhythm is None:
            return []
        rows = [_rated(one.row, one.seconds, one.facts, state.rhythm) for one in waiting]
        waiting.clear()
        return rows

    def _forget_replaced(self, moments: Mapping[Stream, list[int]]) -> None:
        """Expect nothing more of a meter after another one of the home has begun to say the same
        kind: it was exchanged."""
        begun = [stream for stream in moments if stream not in self._streams]
        for new in begun:
            for old, state in list(self._streams.items()):
                is_silent = old not in moments and state.last < moments[new][0]
                if old.kind == new.kind and is_silent:
                    del self._streams[old]


def _periodic(
    moments: Mapping[Stream, Sequence[int]],
) -> Iterable[tuple[Stream, list[int]]]:
    """The streams that say something again and again, with their different moments in order."""
    for stream, every in moments.items():
        spec = KINDS.get(stream.kind)
        if spec is not None and spec.is_periodic:
            yield stream, sorted(set(every))


def _rhythm_of(moments: Sequence[int]) -> float | None:
    steps = [later - earlier for earlier, later in pairwise(moments)]
    return float(median(steps)) if len(steps) >= FEWEST_STEPS else None


def _longest_gap(moments: Sequence[int]) -> tuple[int, int]:
    """When the longest distance between two neighbours begins, and how long it is."""
    return max(
        ((earlier, later - earlier) for earlier, later in pairwise(moments)),
        key=lambda gap: gap[1],
    )


def _rated(row: GapRow, seconds: int, facts: HourOfHome, rhythm: float) -> GapRow:
    is_gap = row.longest_gap > GAP_IN_RHYTHMS * rhythm
    return GapRow(
        cloud_id=row.cloud_id,
        hour=row.hour,
        stream=row.stream,
        had=row.had,
        expected=int(seconds // rhythm),
        rhythm=rhythm,
        longest_gap=row.longest_gap,
        gap_begin=row.gap_begin,
        why=_why(row, facts) if is_gap else None,
    )


def _why(row: GapRow, facts: HourOfHome) -> Why:
    gap_end = row.gap_begin + row.longest_gap
    did_arrive = any(
        row.gap_begin + _ANSWER_TAKES_S < arrival < gap_end for arrival in facts.arrivals
    )
    reasons = {
        Why.OPEN: facts.is_open,
        Why.WAITING: facts.is_waiting,
        Why.KEPT_ASIDE: facts.is_kept_aside,
        Why.UNREADABLE: facts.is_unreadable,
        Why.GATEWAY_ANSWERED: did_arrive,
        Why.ALL_SILENT: facts.homes == 0,
        Why.HOME_SILENT: bool(facts.homes),
    }
    return next((why for why, holds in reasons.items() if holds), Why.UNKNOWN)
