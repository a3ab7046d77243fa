"""When a meter's readings appear: pure functions of the home and of the time, so that nothing has
to run between two requests.

The intervals were captured: demand about every 8 s (7 and 9 are common), or 16 or 24 where readings
are lost; summation every 240 s; price every 60 to 180 s. A reading becomes visible 2.4 to 12 s
after its own time: the median is 3.6 s, the 95th percentile 5.9 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.seeded_random import random_bits

_LAG_QUANTILES_S = ((0.0, 2.4), (0.5, 3.6), (0.95, 5.9), (1.0, 12.0))


def _lag(rank: float) -> float:
    for (low, least), (high, most) in pairwise(_LAG_QUANTILES_S):
        if rank <= high:
            return least + (most - least) * (rank - low) / (high - low)
    return _LAG_QUANTILES_S[-1][1]


LAGS_S = tuple(_lag(rank / 255) for rank in range(256))
"""How long readings stay invisible; each is as likely as the others. In ascending order."""
_DELAYS_S = (0, 0, 0, 1)
"""How late a demand is, which makes intervals of mostly 8 s, often 7 or 9."""


@dataclass(frozen=True, slots=True)
class MeterStream:
    """A series of readings. One has its turn every `period` seconds."""

    number: int
    """Makes the streams of a home differ in their phases, delays and losses."""
    period: int
    scatter: int = 0
    """A reading comes up to this many seconds late; 0 means as late as a demand."""
    loses_readings: bool = False


class Moment(NamedTuple):
    turn: int
    """The reading's place in its stream."""
    time: int
    """The reading's own time, in Unix seconds."""


DEMAND = MeterStream(1, 8, loses_readings=True)
SUMMATION = MeterStream(2, 240, scatter=3)
MESSAGE = MeterStream(4, 6 * 3600, scatter=3 * 3600)


def price_stream(home: Home) -> MeterStream:
    return MeterStream(3, home.price_period_s)


def latest_reading(home: Home, stream: MeterStream, now: float) -> Moment:
    """The newest reading that the gateway shows at `now` (Unix seconds)."""
    salt = home.salt + stream.number
    phase = salt % stream.period
    turn = int(now - phase) // stream.period
    while True:
        bits = _bits_of_four_turns(turn, salt)
        if not (stream.loses_readings and _is_lost(bits, turn)):
            time = phase + turn * stream.period + _delay(stream, bits, turn)
            if time + LAGS_S[bits >> (8 * (turn & 3)) & 0xFF] <= now:
                return Moment(turn, time)
        turn -= 1


def reading_before(home: Home, stream: MeterStream, moment: Moment) -> Moment:
    """The reading before `moment`, even if the gateway never showed it."""
    salt = home.salt + stream.number
    turn = moment.turn - 1
    while stream.loses_readings and _is_lost(_bits_of_four_turns(turn, salt), turn):
        turn -= 1
    delay = _delay(stream, _bits_of_four_turns(turn, salt), turn)
    return Moment(turn, salt % stream.period + turn * stream.period + delay)


def _bits_of_four_turns(turn: int, salt: int) -> int:
    """64 bits that four turns in a row share: 32 for lags, 8 for delays, 24 for losses."""
    return random_bits(turn >> 2, salt)


def _is_lost(bits: int, turn: int) -> bool:
    position = turn & 3
    losses = bits >> 40
    if losses >> (6 * position) & 0x3F in (0, 1):
        return True
    # Sometimes the loss of the second turn takes the third along, which makes a gap of 24 s.
    return position == 2 and losses >> 6 & 0x3F == 1


def _delay(stream: MeterStream, bits: int, turn: int) -> int:
    if stream.scatter:
        return bits % stream.scatter
    return _DELAYS_S[bits >> (32 + 2 * (turn & 3)) & 3]
