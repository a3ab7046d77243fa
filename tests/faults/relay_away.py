"""Fault 8, the relay as a whole: it answers nobody for a while. It is asked gently meanwhile, and
then not stormed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Cast, Trial

HOMES = 60
ORDINARY = HOMES / 2
"""Visits a second: everybody is visited every two seconds."""
CAST = Cast(homes=HOMES, settings={"max_open_files": "64"})
"""With hours this short, everybody's log files of many hours would be open at once."""
GENTLE = 4.0
"""Requests a second while it is away: one user a tick, and what a tick that came late brings."""
BACK_WITHIN = 30.0

ANSWERS: dict[str, dict[str, object]] = {
    "503": {"fault": "status", "status": 503},
    "401": {"fault": "status", "status": 401},
    "nothing but garbage": {"fault": "garbage"},
}


def away(kind: str, seconds: float, calm: float) -> Strike:
    return Strike(
        f"the relay answers everybody with {kind}",
        lambda trial: trial.outside.relay_misbehaves({**ANSWERS[kind], "share": 1.0}),
        end=was_asked_gently_and_is_well,
        lasts=seconds,
        calm=calm,
        flow=back_without_a_burst,
    )


def asked(trial: Trial) -> int:
    return sum(int(home["requests"]) for home in trial.outside.per_home().values())


def was_asked_gently_and_is_well(trial: Trial) -> None:
    before, began = asked(trial), time.monotonic()
    time.sleep(5)
    rate = (asked(trial) - before) / (time.monotonic() - began)
    assert rate <= GENTLE, f"{rate:.1f} requests a second reach a relay that is away"
    assert not [one for one in trial.everybody() if one.state.parked], (
        "a relay in trouble parks nobody"
    )
    trial.outside.relay_misbehaves()


def back_without_a_burst(trial: Trial) -> float:
    """Two of everybody's turns in a row would be a stampede; half as many again as usual, and the
    other kinds, are none."""
    began, since, most = time.monotonic(), trial.settings.clock.now(), 0.0
    while trial._waiting_for_readings(since):
        before, at = asked(trial), time.monotonic()
        time.sleep(1)
        most = max(most, (asked(trial) - before) / (time.monotonic() - at))
        assert time.monotonic() - began < BACK_WITHIN, "not everybody is back"
    assert most <= 3 * ORDINARY, f"{most:.0f} requests in a second after it was back"
    return time.monotonic() - began


def plan(chance: Random) -> Sequence[Strike]:
    return [
        away(kind, chance.uniform(20, 40), chance.uniform(3, 6))
        for kind in chance.sample(sorted(ANSWERS), len(ANSWERS))
    ]


SCENARIOS = [
    Scenario("relay-away", 8, "the relay answers everybody with 503, with 401, with garbage, for half a minute each", plan,
             CAST),
    Scenario("relay-brief", 8, "the relay answers everybody with 503 for twenty seconds", lambda _: [away("503", 15.0, 3.0)],
             CAST, short=True),
]  # fmt: skip
