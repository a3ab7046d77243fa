"""Fault 6, the whole system: clocks of single processes, and Redis' own, are wrong or are set while
everything goes on.

Each program has its own clock here, the ordinary one of a machine, and no test clock: that is
everybody's at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Cast, Trial
from workers.up.programs import DISPATCHER, REDIS, ROTATOR

PERIOD = 3.0
"""Seconds between two visits to a home."""
SELDOM = 120
CADENCE = {
    "demand_interval": "3",
    **{f"{kind}_interval": str(SELDOM) for kind in ("summation", "price", "message")},
}
FETCHERS = ("fetch-1", "fetch-2")
CLOSEST = 1.0
"""Seconds between two requests to one gateway, at least."""


def cast(*programs: str) -> Cast:
    return Cast(homes=20, speed=1.0, latency=0.3, settings=CADENCE, own_clocks=programs)


def flowing(trial: Trial) -> float:
    """Wait until every home has brought another reading, and check how the gateways were asked.
    Returns how long it took.

    No clock is asked: the workers' arrival times have the error of their clocks.
    """
    began, before, asked = time.monotonic(), logged(trial), requests(trial)
    trial.until(lambda: all(count > before[one] for one, count in logged(trial).items()))
    took = time.monotonic() - began
    for one, home in trial.outside.per_home().items():
        gap, most = home["smallest_gap"], home["most_in_flight"]
        assert most <= 1, f"{one} was asked {most} times at once"
        assert gap is None or gap >= CLOSEST, f"{one} was asked again after {gap} s"
        more = home["requests"] - asked[one]
        assert more <= 2 * took / PERIOD + 8, f"{one} was asked {more} times in {took:.0f} s"
    return took


def logged(trial: Trial) -> dict[str, int]:
    return {one.user.cloud_id: one.state.total_events_logged for one in trial.everybody()}


def requests(trial: Trial) -> dict[str, int]:
    return {one: int(home["requests"]) for one, home in trial.outside.per_home().items()}


def wrong(calm: float, **ahead: float) -> Strike:
    """Set these programs' clocks so many seconds ahead, until the next strike."""
    clocks = {name.replace("_", "-"): seconds for name, seconds in ahead.items()}
    words = ", ".join(f"{name}'s clock {seconds:+.0f} s" for name, seconds in clocks.items())

    def begin(trial: Trial) -> None:
        for name, seconds in clocks.items():
            trial.set_clock(name, seconds)

    return Strike(words, begin, lasts=6.0, calm=calm, flow=flowing)


def workers(chance: Random) -> Sequence[Strike]:
    return [
        wrong(chance.uniform(1, 4), fetch_1=25),
        wrong(chance.uniform(1, 4), fetch_1=10, fetch_2=-10),
        wrong(chance.uniform(1, 4), fetch_1=25, fetch_2=25, rotator=25),
        wrong(chance.uniform(1, 4), fetch_1=-25, fetch_2=-3600, rotator=-25),
        wrong(chance.uniform(1, 4), fetch_1=0, fetch_2=0, rotator=0),
    ]


def dispatching(chance: Random) -> Sequence[Strike]:
    """Against beat's clock and the workers'. Beat's own is set in
    tests/unit/workers/process/test_beat_scheduler.py: it lives by time.sleep(), which libfaketime
    spoils."""
    return [wrong(chance.uniform(1, 4), dispatcher=ahead) for ahead in (-40, 40, -3600, 0)]


def redis_own(chance: Random) -> Sequence[Strike]:
    return [
        wrong(chance.uniform(1, 4), redis=30),
        wrong(chance.uniform(1, 4), redis=60),
        wrong(chance.uniform(1, 4), redis=5),
        wrong(chance.uniform(1, 4), redis=3600),
        wrong(chance.uniform(1, 4), redis=0),
    ]


SCENARIOS = [
    Scenario("clocks-workers", 6, "workers' clocks 25 s ahead and behind, an hour behind, and set while they work",
             workers, cast(*FETCHERS, ROTATOR)),
    Scenario("clocks-dispatcher", 6, "the dispatcher's clock 40 s behind and ahead of beat's, and an hour behind",
             dispatching, cast(DISPATCHER)),
    Scenario("clocks-redis", 6, "Redis' own clock set half a minute and an hour forward, and back",
             redis_own, cast(REDIS)),
]  # fmt: skip
