"""The rhythm in which a meter speaks: an estimate, kept from what its gateway's replies showed.

A meter speaks every `period` seconds, and loses a beat now and then. The gateway shows a reading
some seconds after the reading's own time: the delay. A reply shows only the newest reading, so a
request tells no more of that delay than a bound. It was shorter if the reading was there, and
longer if it was not. `delay` and `spread` are kept from such bounds by one step of
expectation-maximisation for each reading.

Own times are by the gateway's clock, which may be wrong, drift or be set. Moments of requests are
by the store's. All are Unix seconds. `core/in_step.py` says when to ask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

GAPS_KEPT = 8
GAPS_BEFORE_PERIOD = 5
"""So many gaps between readings are needed before there is a period."""
MOST_BEATS_LOST = 3
"""Beats lost in a row. A longer silence says nothing about the period."""
LONGEST_PERIOD_S = 900.0
MOST_FITS = 2
"""After so many readings in a row that kept the rhythm, the rhythm holds."""
MOST_DELAYS = 80
"""The delay follows the last readings, about half as many as these."""
MOST_CREDIT = 3.0
OFTENER_THAN_PLAIN = 1.04
"""Over a long time, a user in step is asked at most this many times as often as on the plain
grid."""

_BEAT_GAIN = 0.5
"""How far one reading moves the beat. If a reading comes a second late, either all that follow are
late too, or only this one is. A half does well for both."""
_PERIOD_GAIN = 0.03
_DRIFT_GAIN, _MOST_DELAY_GAIN_FOR_DRIFT = 0.5, 0.03
"""The drift moves by the square of the gain of the delay, as for two poles at the same place. While
the delay is new its gain is large, and would move the drift by noise."""
MOST_DRIFT = 0.02
"""Of a period, in either direction."""
_LONGEST_FIRST_DELAY_S, _FIRST_SPREAD_S, _LEAST_SPREAD_S = 4.0, 2.0, 0.3
_SPREAD_AFTER_CLOCK_WAS_SET_S, _DELAYS_KEPT_AFTER_CLOCK_WAS_SET = 1.5, 4
_LONG_RUN_OF_MISSES, _DELAYS_KEPT_AFTER_MISSES = 3, 16
_LONG_RUN_OF_HITS, _DELAYS_KEPT_AFTER_HITS = 21, 30
_LONGEST_RUN, _MOST_ASKS = 99, 9999
_AVERAGED_READINGS = 32


class Rhythm(NamedTuple):
    """What is known of a meter's rhythm. Empty for a new user."""

    seen: int | None = None
    """Own time of the reading that was shown last."""
    asked: float | None = None
    """When the gateway was asked last."""
    gaps: tuple[int, ...] = ()
    """Seconds between the own times of the last readings, oldest first."""
    period: float = 0.0
    """Seconds from beat to beat by the gateway's clock; 0 while it is not known."""
    beat: float = 0.0
    """The own time that the rhythm gave the reading that was shown last."""
    delay: float = 0.0
    """Seconds from a beat to the moment at which the gateway shows its reading, on average. The
    difference between the two clocks is in it."""
    spread: float = 0.0
    """The standard deviation of this delay."""
    drift: float = 0.0
    """Seconds by which the delay grows from beat to beat, because one of the clocks drifts."""
    delays: int = 0
    """How many readings the delay rests on."""
    fits: int = 0
    """Readings in a row that kept the rhythm, at most MOST_FITS."""
    run: int = 0
    """Readings in a row that were there at the first request; below 0, that were not."""
    asks: int = 0
    """Requests since a new reading was shown, that one included."""
    credit: float = 1.0
    """Requests that may be made ahead of the plain grid."""
    requests_per_reading: float = 0.0
    """A running average; 0 while it is not known."""
    age: float = 0.0
    """Seconds for which the gateway had shown a reading when it arrived, estimated: a running
    average."""


NO_RHYTHM = Rhythm()


def after_reply(rhythm: Rhythm, newest: int | None, asked: float, took: float = 0.0) -> Rhythm:
    """The rhythm after a request at `asked`, whose reply came `took` seconds later and showed a
    reading of this own time as its newest; None if it showed no reading with a time. Call it before
    `after_request`."""
    if newest is None or newest == rhythm.seen:
        return rhythm
    if rhythm.seen is None or rhythm.asked is None:
        return rhythm._replace(seen=newest, beat=float(newest), asks=0)
    gap, window = newest - rhythm.seen, _ShownWithin(rhythm.asked, asked)
    beats = _beats_in(newest - rhythm.beat, rhythm.period) if rhythm.period else 0
    if 0 < gap <= LONGEST_PERIOD_S:
        rhythm = rhythm._replace(gaps=(*rhythm.gaps, gap)[-GAPS_KEPT:])
    if beats:
        rhythm = _kept_rhythm(rhythm, newest, beats, window, took)
    elif 0 < gap <= LONGEST_PERIOD_S:
        rhythm = _lost_rhythm(rhythm, newest, window)
    else:
        rhythm = _clock_was_set(rhythm, newest, asked)
    return rhythm._replace(
        seen=newest,
        asks=0,
        requests_per_reading=_average(rhythm.requests_per_reading, max(1, rhythm.asks)),
    )


def after_request(rhythm: Rhythm, asked: float, plain: float) -> Rhythm:
    """The rhythm after a request at `asked`, whatever the answer was. `plain`: the period of the
    user's plain grid."""
    since = 0.0 if rhythm.asked is None else max(0.0, asked - rhythm.asked)
    credit = min(rhythm.credit + since / plain * OFTENER_THAN_PLAIN, MOST_CREDIT) - 1.0
    # Requests that the schedule did not make may overdraw it, but hold up no more than one turn.
    return rhythm._replace(
        asked=asked, asks=min(rhythm.asks + 1, _MOST_ASKS), credit=max(credit, -1.0)
    )


def period_of(gaps: Sequence[int]) -> float | None:
    """The period that explains nearly all of these gaps, at least half of them as a single beat;
    None if there is none. The newest few gaps decide if they can, because a period may change."""
    for window in (gaps[-GAPS_BEFORE_PERIOD:], gaps):
        for candidate in sorted(window) if len(window) >= GAPS_BEFORE_PERIOD else ():
            beats = [_beats_in(gap, candidate) for gap in window]
            fitting = sum(map(bool, beats))
            if 5 * fitting >= 4 * len(window) and 2 * beats.count(1) >= len(window):
                seconds = sum(gap for gap, n in zip(window, beats, strict=True) if n)
                return seconds / sum(beats)
    return None


def _beats_in(gap: float, period: float) -> int:
    """How many beats later a reading came; 0 if it did not keep the rhythm."""
    beats = max(1, round(gap / period))
    fits = abs(gap - beats * period) <= min(0.3 * period, 2.4 + 0.02 * period)
    return beats if fits and beats <= 1 + MOST_BEATS_LOST else 0


class _ShownWithin(NamedTuple):
    """The gateway began to show a reading after the request before, and before this one."""

    opens: float
    closes: float

    def after(self, moment: float) -> _ShownWithin:
        return _ShownWithin(self.opens - moment, self.closes - moment)


def _kept_rhythm(
    rhythm: Rhythm, newest: int, beats: int, window: _ShownWithin, took: float
) -> Rhythm:
    due = rhythm.beat + beats * rhythm.period
    error = newest - due
    gain = max(_PERIOD_GAIN, 0.5 / (rhythm.delays + 1))
    rhythm = rhythm._replace(
        period=rhythm.period + gain * error / beats,
        beat=due + _BEAT_GAIN * error,
        fits=min(rhythm.fits + 1, MOST_FITS),
        run=_run_after(rhythm),
        delays=_delays_to_keep(rhythm),
    )
    rhythm = rhythm._replace(delay=rhythm.delay + beats * rhythm.drift)
    delay = window.after(due)
    age = delay.closes - _mean_within(delay, rhythm)[0] + took if rhythm.delays else rhythm.age
    return _with_delay(rhythm, delay)._replace(age=_average(rhythm.age, age))


def _run_after(rhythm: Rhythm) -> int:
    if rhythm.asks <= 1:
        return min(max(rhythm.run, 0) + 1, _LONGEST_RUN)
    return max(min(rhythm.run, 0) - 1, -_LONGEST_RUN)


def _delays_to_keep(rhythm: Rhythm) -> int:
    """How many readings the delay still rests on. After many requests in a row that were too early,
    or too late, the delay is another one, and the newest readings count more."""
    run = _run_after(rhythm)
    if run <= -_LONG_RUN_OF_MISSES:
        return min(rhythm.delays, _DELAYS_KEPT_AFTER_MISSES)
    if run >= _LONG_RUN_OF_HITS:
        return min(rhythm.delays, _DELAYS_KEPT_AFTER_HITS)
    return rhythm.delays


def _lost_rhythm(rhythm: Rhythm, newest: int, window: _ShownWithin) -> Rhythm:
    """A reading came at another time than a rhythm gave it, or there is no rhythm yet."""
    rhythm = _with_delay(rhythm, window.after(newest))
    period = period_of(rhythm.gaps) or 0.0
    return rhythm._replace(period=period, beat=float(newest), fits=0)


def _clock_was_set(rhythm: Rhythm, newest: int, asked: float) -> Rhythm:
    """The meter keeps its rhythm when its gateway's clock is set, so all that changes is the
    difference between the clocks. An old reading that is shown late looks the same; the next one
    then undoes this."""
    beat = float(newest)
    if rhythm.period:
        since = asked - rhythm.beat - rhythm.delay + rhythm.spread
        beats = max(1, math.floor(since / rhythm.period))  # the reading is shown by now
        shift = newest - (rhythm.beat + beats * rhythm.period)
    else:
        shift = asked - rhythm.delay - beat
    return rhythm._replace(
        beat=beat,
        delay=rhythm.delay - shift,
        spread=max(rhythm.spread, _SPREAD_AFTER_CLOCK_WAS_SET_S),
        delays=min(rhythm.delays, _DELAYS_KEPT_AFTER_CLOCK_WAS_SET),
        fits=0,
    )


def _with_delay(rhythm: Rhythm, window: _ShownWithin) -> Rhythm:
    """The estimate after one more delay, which is known to lie in this window."""
    if not rhythm.delays or _is_elsewhere(window, rhythm):
        half = min(max(window.closes - window.opens, 1.0), 2 * _LONGEST_FIRST_DELAY_S) / 2
        spread = max(_FIRST_SPREAD_S, half / 2)
        return rhythm._replace(delay=window.closes - half, spread=spread, delays=1, drift=0.0)
    expected, variance = _mean_within(window, rhythm)
    step = min(max(expected - rhythm.delay, -3 * rhythm.spread), 3 * rhythm.spread)
    gain = 2.0 / (rhythm.delays + 2.0)
    delay = rhythm.delay + gain * step
    drift = rhythm.drift + _DRIFT_GAIN * min(gain, _MOST_DELAY_GAIN_FOR_DRIFT) ** 2 * step
    most_drift = MOST_DRIFT * rhythm.period
    change = variance + step * (step - gain * step) - rhythm.spread**2
    return rhythm._replace(
        delay=delay,
        drift=min(max(drift, -most_drift), most_drift),
        spread=max(_LEAST_SPREAD_S, math.sqrt(max(0.0, rhythm.spread**2 + gain * change))),
        delays=min(rhythm.delays + 1, MOST_DELAYS),
    )


def _is_elsewhere(window: _ShownWithin, rhythm: Rhythm) -> bool:
    """Whether this delay is so far from the estimate that the store's clock must have been set."""
    far = 6 * rhythm.spread + max(rhythm.period, _LONGEST_FIRST_DELAY_S)
    return (
        window.closes < window.opens
        or window.closes < rhythm.delay - far
        or window.opens > rhythm.delay + far
    )


def _mean_within(window: _ShownWithin, rhythm: Rhythm) -> tuple[float, float]:
    """Mean and variance of a delay that lies in this window, if delays are normally distributed."""
    mean, spread = rhythm.delay, rhythm.spread
    a, b = (window.opens - mean) / spread, (window.closes - mean) / spread
    share = _share_below(b) - _share_below(a)
    if share < 1e-4:  # so unlikely that the quotients would be noise
        return (window.closes if b < 0 else window.opens), 0.0
    density_a, density_b = _density(a), _density(b)
    shift = (density_a - density_b) / share
    narrowing = (a * density_a - b * density_b) / share - shift**2
    return mean + spread * shift, spread**2 * max(0.0, 1.0 + narrowing)


def _share_below(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _density(x: float) -> float:
    return math.exp(-min(x * x, 1400.0) / 2.0) / math.sqrt(2.0 * math.pi)


def _average(before: float, value: float) -> float:
    return before + (value - before) / _AVERAGED_READINGS if before else float(value)
