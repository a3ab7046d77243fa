"""Fault 6, the whole system: clocks of single processes, and of Redis, are wrong or are set while
everything runs.

Each program has its own clock here, as on a machine of its own. The test clock would not do: all
programs share it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Setup, Trial
from workers.up.programs import DISPATCHER, REDIS, ROTATOR

PERIOD = 3.0
"""Seconds between two visits to a home."""
CADENCE = {
    "demand_interval": "3",
    **{f"{kind}_interval": "120" for kind in ("summation", "price", "message")},
}
FETCHERS = ("fetch-1", "fetch-2")
SHORTEST_GAP = 1.0
"""The least seconds between two requests to one gateway."""


def with_own_clocks(*programs: str) -> Setup:
    return Setup(homes=20, speed=1.0, latency=0.3, settings=CADENCE, own_clocks=programs)


def flowing(trial: Trial) -> float:
    """Wait until another reading of every home is logged, and check how the gateways were asked.
    Returns the seconds it took.

    It counts readings, because the workers' arrival times have the error of their clocks.
    """
    began, before, asked = time.monotonic(), logged(trial), requests(trial)
    trial.until(lambda: all(count > before[home] for home, count in logged(trial).items()))
    took = time.monotonic() - began
    for home, stats in trial.stand_ins.per_home().items():
        gap, most = stats["smallest_gap"], stats["most_in_flight"]
        assert most <= 1, f"{home} was asked {most} times at once"
        assert gap is None or gap >= SHORTEST_GAP, f"{home} was asked again after {gap} s"
        more = stats["requests"] - asked[home]
        assert more <= 2 * took / PERIOD + 8, f"{home} was asked {more} times in {took:.0f} s"
    return took


def logged(trial: Trial) -> dict[str, int]:
    return {one.user.cloud_id: one.state.total_events_logged for one in trial.everybody()}


def requests(trial: Trial) -> dict[str, int]:
    return {home: int(stats["requests"]) for home, stats in trial.stand_ins.per_home().items()}


def wrong(calm: float, **ahead: float) -> Strike:
    """Set these programs' clocks so many seconds ahead, until the next strike."""
    clocks = {name.replace("_", "-"): seconds for name, seconds in ahead.items()}
    what = ", ".join(f"{name}'s clock {seconds:+.0f} s" for name, seconds in clocks.items())

    def begin(trial: Trial) -> None:
        for name, seconds in clocks.items():
            trial.set_clock(name, seconds)

    return Strike(what, begin, lasts=6.0, calm=calm, flow=flowing)


def workers(chance: Random) -> Sequence[Strike]:
    return [
        wrong(chance.uniform(1, 4), fetch_1=25),
        wrong(chance.uniform(1, 4), fetch_1=10, fetch_2=-10),
        wrong(chance.uniform(1, 4), fetch_1=25, fetch_2=25, rotator=25),
        wrong(chance.uniform(1, 4), fetch_1=-25, fetch_2=-3600, rotator=-25),
        wrong(chance.uniform(1, 4), fetch_1=0, fetch_2=0, rotator=0),
    ]


def dispatching(chance: Random) -> Sequence[Strike]:
    """The dispatcher's clock differs from beat's and the workers'.

    libfaketime cannot set beat's clock, because it breaks time.sleep(). That case is in
    tests/unit/workers/process/test_beat_scheduler.py.
    """
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
    Scenario(
        "clocks-workers",
        6,
        "workers' clocks 25 s ahead and behind, an hour behind, and set while they work",
        workers,
        with_own_clocks(*FETCHERS, ROTATOR),
    ),
    Scenario(
        "clocks-dispatcher",
        6,
        "the dispatcher's clock 40 s behind and ahead of beat's, and an hour behind",
        dispatching,
        with_own_clocks(DISPATCHER),
    ),
    Scenario(
        "clocks-redis",
        6,
        "Redis' own clock set half a minute and an hour forward, and back",
        redis_own,
        with_own_clocks(REDIS),
    ),
]
