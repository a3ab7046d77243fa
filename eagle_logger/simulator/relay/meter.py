"""When a meter's readings appear: pure functions of the home and of the time, so that nothing ever
has to tick.

From captures: demand about every 8 s (7 and 9 are common), a loss now and then makes it 16 or 24;
summation every 240 s; price every 60 to 180 s. A reading becomes visible 2.4 to 12 s after its own
time: the median is 3.6 s, the 95th percentile 5.9 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from eagle_logger.simulator.relay.homes import Home
from eagle_logger.simulator.relay.seeded_random import mixed

_QUANTILES = ((0.0, 2.4), (0.5, 3.6), (0.95, 5.9), (1.0, 12.0))


def _lag(rank: float) -> float:
    for (low, least), (high, most) in pairwise(_QUANTILES):
        if rank <= high:
            return least + (most - least) * (rank - low) / (high - low)
    return _QUANTILES[-1][1]


LAGS = tuple(_lag(rank / 255) for rank in range(256))
_JITTER = (0, 0, 0, 1)
"""Seconds that a reading comes after its turn: intervals of 8 s mostly, of 7 and 9 often."""


@dataclass(frozen=True, slots=True)
class MeterStream:
    """A series of readings: one every `period` seconds, up to `scatter` seconds late; some lost
    where it `loses`."""

    number: int
    period: int
    scatter: int = 0
    loses: bool = False


class Moment(NamedTuple):
    """The turn of a reading in its stream, and its own time in Unix seconds."""

    turn: int
    time: int


DEMAND = MeterStream(1, 8, loses=True)
SUMMATION = MeterStream(2, 240, scatter=3)
MESSAGE = MeterStream(4, 6 * 3600, scatter=3 * 3600)


def price_stream(home: Home) -> MeterStream:
    return MeterStream(3, home.price_every)


def latest(home: Home, stream: MeterStream, now: float) -> Moment:
    """The newest reading that the gateway shows at `now` (Unix seconds)."""
    salt = home.salt + stream.number
    phase = salt % stream.period
    turn = int(now - phase) // stream.period
    while True:
        bits = _accidents(turn, salt)
        if not (stream.loses and _is_lost(bits, turn)):
            time = phase + turn * stream.period + _delay(stream, bits, turn)
            if time + LAGS[bits >> (8 * (turn & 3)) & 0xFF] <= now:
                return Moment(turn, time)
        turn -= 1


def before(home: Home, stream: MeterStream, moment: Moment) -> Moment:
    """The reading before that one, whenever it was shown."""
    salt = home.salt + stream.number
    turn = moment.turn - 1
    while stream.loses and _is_lost(_accidents(turn, salt), turn):
        turn -= 1
    delay = _delay(stream, _accidents(turn, salt), turn)
    return Moment(turn, salt % stream.period + turn * stream.period + delay)


def _accidents(turn: int, salt: int) -> int:
    """64 bits for four turns in a row: 32 for their lags, 8 for their delays, 24 for their losses."""
    return mixed(turn >> 2, salt)


def _is_lost(bits: int, turn: int) -> bool:
    position = turn & 3
    losses = bits >> 40
    if losses >> (6 * position) & 0x3F in (0, 1):
        return True
    return (
        position == 2 and losses >> 6 & 0x3F == 1
    )  # the second turn of four sometimes takes the third along: 24 s


def _delay(stream: MeterStream, bits: int, turn: int) -> int:
    if stream.scatter:
        return bits % stream.scatter
    return _JITTER[bits >> (32 + 2 * (turn & 3)) & 3]
