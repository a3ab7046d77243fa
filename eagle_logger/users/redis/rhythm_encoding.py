"""How a meter's rhythm is written in a user's state: a list that names its own format.

It stands behind the other facts. So a version without rhythms, or with another format, stores it
again and never reads it (`UserState.later`), and old and new workers may run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eagle_logger.core.rhythm import GAPS_KEPT, LONGEST_PERIOD_S, Rhythm

_FORMAT, _FORMAT_BEFORE = "rhythm-2", "rhythm-1"
"""The first member of the list. Other members, or members of another meaning, need another
number."""
_PARTS, _PARTS_BEFORE = 10_000, 100
"""The parts of a second that the estimate is written in. One reading moves it by thousandths. In
hundredths, as in the format before, most of these steps were rounded away."""


def rhythm_as_list(rhythm: Rhythm) -> list[Any]:
    """The rhythm as JSON. All numbers are whole, because these are exact and short: the estimate in
    `_PARTS` of a second, its drift in millionths, everything else in hundredths."""
    beat = rhythm.beat - (rhythm.seen or 0)
    return [
        _FORMAT,
        rhythm.seen,
        None if rhythm.asked is None else round(100 * rhythm.asked),
        rhythm.gaps,
        round(_PARTS * rhythm.period),
        round(_PARTS * beat),
        round(_PARTS * rhythm.delay),
        round(_PARTS * rhythm.spread),
        rhythm.delays,
        rhythm.fits,
        rhythm.run,
        rhythm.asks,
        round(100 * rhythm.credit),
        round(100 * rhythm.requests_per_reading),
        round(100 * rhythm.age),
        round(1_000_000 * rhythm.drift),
    ]


def is_rhythm(member: Any) -> bool:
    """Whether this member of a state is a rhythm in a format that this version reads."""
    return isinstance(member, list) and member[:1] in ([_FORMAT], [_FORMAT_BEFORE])


def rhythm_from(written: Sequence[Any]) -> Rhythm:
    """Raises ValueError or TypeError if no version wrote it."""
    format_name, seen, asked, gaps, *numbers = written
    if format_name == _FORMAT:
        parts, drift = _PARTS, numbers.pop()
    else:
        parts, drift = _PARTS_BEFORE, 0
    period, beat, delay, spread, delays, fits, run, asks, credit, per_reading, age = numbers
    moments = [moment for moment in (seen, asked) if moment is not None]
    if {type(drift), *map(type, numbers), *map(type, gaps), *map(type, moments)} != {int}:
        raise ValueError("a number of the rhythm has the wrong type")
    if not 0 <= period <= 2 * parts * LONGEST_PERIOD_S or spread < (delays > 0):
        raise ValueError("a number of the rhythm is out of bounds")
    return Rhythm(
        seen=seen,
        asked=None if asked is None else asked / 100,
        gaps=tuple(gaps[-GAPS_KEPT:]),
        period=period / parts,
        beat=beat / parts + (seen or 0),
        delay=delay / parts,
        spread=spread / parts,
        drift=drift / 1_000_000,
        delays=delays,
        fits=fits,
        run=run,
        asks=asks,
        credit=credit / 100,
        requests_per_reading=per_reading / 100,
        age=age / 100,
    )
