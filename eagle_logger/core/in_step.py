"""When a user falls due whose meter's rhythm is known: shortly after each reading should be there.

The first request comes when a reading is probably there. If it is not, there is one more request,
before the next reading may take its place; or two, if more than a plain period lies between them.
What one home gains by this is bounded by what it costs: a home is never asked more often than on
its plain grid, but for a twentieth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eagle_logger.core.kinds import Kind
from eagle_logger.core.rhythm import MOST_FITS, OFTENER_THAN_PLAIN, Rhythm
from eagle_logger.core.schedule import (
    REQUEST_GAP,
    Grid,
    intervals_of,
    leading_kind,
    plain_grid,
)
from eagle_logger.core.users import User

DELAYS_BEFORE_IN_STEP = 7
WIDEST_SPREAD = 0.28
"""Of a period. Readings whose delay is more uncertain show no rhythm."""
SHORTEST_PERIOD = 0.96
"""Of the plain grid's. Following a meter that speaks more often would need more requests than the
user is to have."""
TICKS_IN_A_PERIOD = 3
MOST_SILENT_BEATS = 4
"""A gateway that shows nothing new for longer is asked on its plain grid."""

MARGIN_S = 1.6
MARGIN_SPREADS = 3.2
"""The first request comes this long after the reading is expected. A longer margin makes fewer
requests in vain, a shorter one fresher readings."""
EAGER_AFTER_HITS, EAGER_SPREADS, MOST_EAGER_SPREADS = 5, 0.05, 2.5
"""Each further reading in a row that was there at the first request shortens the margin by so many
spreads. Otherwise nothing would show that readings come earlier than is thought."""
SECOND_AFTER_S, SECOND_AFTER_SPREADS = 1.5, 2.2
LAST_BEFORE_NEXT_SPREADS = 1.8
PROBED_PERIOD = 1.9
"""Of the plain grid's. If a meter with such a long period begins to speak twice as often, requests
in step with the old period would never show it; so once in PROBED_BEATS there is one more."""
PROBED_BEATS = 12


@dataclass(frozen=True, slots=True)
class Turns:
    """How a user's turns are chosen."""

    plain: Grid
    """Its turns while they do not follow its meter."""
    leading: Kind = Kind.DEMAND
    """The kind that is asked for at each visit, and whose rhythm is followed."""
    may_follow: bool = False
    """Whether they may follow its meter."""
    tick: float = 1.0
    """A real second, in the time of the store: two runs of the dispatcher are so far apart."""

    def follow(self, rhythm: Rhythm) -> bool:
        """Whether this rhythm is followed now."""
        return self.may_follow and is_followed(rhythm, self.plain.period, self.tick)

    def after(self, rhythm: Rhythm, now: float) -> tuple[Grid, float]:
        """As `next_turn`."""
        if not self.may_follow:
            return self.plain, 0.0
        return next_turn(rhythm, self.plain, now, self.tick)


def turns_of(user: User, fleet: Mapping[Kind, float], *, fleet_in_step: bool, tick: float) -> Turns:
    """The turns of a user, with its own intervals or the fleet's."""
    intervals = intervals_of(user, fleet)
    may_follow = fleet_in_step if user.in_step is None else user.in_step
    return Turns(plain_grid(user.cloud_id, intervals), leading_kind(intervals), may_follow, tick)


def rhythm_in_words(rhythm: Rhythm, turns: Turns) -> str:
    """The rhythm for people; empty if there is none."""
    if not rhythm.period:
        return ""
    is_asked = "asked in step" if turns.follow(rhythm) else "not followed"
    return f"every {rhythm.period:.1f} s ± {rhythm.spread:.1f}, {is_asked}"


def is_followed(rhythm: Rhythm, plain: float, tick: float) -> bool:
    """Whether the user's turns follow its meter. `plain`: the period of its plain grid. `tick`:
    seconds between two runs of the dispatcher."""
    return (
        rhythm.fits >= MOST_FITS
        and rhythm.delays >= DELAYS_BEFORE_IN_STEP
        and rhythm.period >= max(SHORTEST_PERIOD * plain, TICKS_IN_A_PERIOD * tick)
        and rhythm.spread <= WIDEST_SPREAD * rhythm.period
    )


def next_turn(rhythm: Rhythm, plain: Grid, now: float, tick: float) -> tuple[Grid, float]:
    """The grid of the user's next turns, and the seconds to wait before the first of them, as a
    report has them. `tick`: a real second, in the time of the store."""
    if rhythm.asked is None:
        return plain, 0.0
    earliest = _earliest_turn(rhythm, plain.period, now)
    if is_followed(rhythm, plain.period, tick):
        for turn in _turns(rhythm, plain.period, tick):
            if earliest < turn <= now + MOST_SILENT_BEATS * rhythm.period:
                # Without a wait, the user would fall due at an earlier point of this grid.
                is_later = turn - rhythm.period > now
                wait = turn - rhythm.period / 2 - now if is_later else 0.0
                return Grid(rhythm.period, turn), wait
    return plain, max(0.0, earliest - now)


def _earliest_turn(rhythm: Rhythm, plain: float, now: float) -> float:
    """Not before the plain grid would have made as many requests."""
    assert rhythm.asked is not None
    overdrawn = max(0.0, -rhythm.credit) * plain / OFTENER_THAN_PLAIN
    return max(now, min(rhythm.asked, now) + overdrawn)  # the store's clock may be set back


def _turns(rhythm: Rhythm, plain: float, tick: float) -> Iterator[float]:
    """The turns of the next few beats, in order. A turn is early by half a tick, because the
    dispatcher comes half a tick late on average."""
    period, spread = rhythm.period, rhythm.spread
    eager = min(MOST_EAGER_SPREADS, max(0, rhythm.run - EAGER_AFTER_HITS) * EAGER_SPREADS)
    margin = min(MARGIN_SPREADS * spread, MARGIN_S) - eager * spread
    for beat in range(1, 2 + MOST_SILENT_BEATS):
        due = rhythm.beat + beat * period
        expected = due + rhythm.delay + beat * rhythm.drift - tick / 2
        if period >= PROBED_PERIOD * plain and round(due / period) % PROBED_BEATS == 0:
            yield expected - max(2.0, 2.5 * spread)
        first = expected + margin
        yield first
        second = first + max(SECOND_AFTER_S, SECOND_AFTER_SPREADS * spread)
        last = expected + period - LAST_BEFORE_NEXT_SPREADS * spread
        if min(second, last) > first + REQUEST_GAP * tick:
            yield min(second, last)
        if last > second + plain:
            yield last
