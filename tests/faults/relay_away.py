"""Fault 8, the whole relay: for a while it answers no request. The workers must ask it gently
meanwhile, and not all at once when it is back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Setup, Trial

HOMES = 60
ORDINARY = HOMES / 2
"""Visits a second: every home is visited every two seconds."""
SETUP = Setup(homes=HOMES, settings={"max_open_files": "64"})
"""With hours this short, the log files of many hours would be open at once."""
MOST_REQUESTS_WHILE_AWAY = 4.0
"""A second: one user a tick, and what a late tick adds."""
BACK_WITHIN_S = 30.0

ANSWERS: dict[str, dict[str, object]] = {
    "503": {"fault": "status", "status": 503},
    "401": {"fault": "status", "status": 401},
    "nothing but garbage": {"fault": "garbage"},
}


def away(kind: str, seconds: float, calm: float) -> Strike:
    return Strike(
        f"the relay answers everybody with {kind}",
        lambda trial: trial.stand_ins.relay_misbehaves({**ANSWERS[kind], "share": 1.0}),
        end=was_asked_gently_and_is_well,
        lasts=seconds,
        calm=calm,
        flow=back_without_a_burst,
    )


def asked(trial: Trial) -> int:
    return sum(int(home["requests"]) for home in trial.stand_ins.per_home().values())


def was_asked_gently_and_is_well(trial: Trial) -> None:
    before, began = asked(trial), time.monotonic()
    time.sleep(5)
    rate = (asked(trial) - before) / (time.monotonic() - began)
    assert rate <= MOST_REQUESTS_WHILE_AWAY, f"{rate:.1f} requests a second, while it is away"
    assert not [one for one in trial.everybody() if one.state.parked], "users were parked"
    trial.stand_ins.relay_misbehaves()


def back_without_a_burst(trial: Trial) -> float:
    """Wait until all homes are fetched again. The requests per second must stay below three times
    the ordinary visits: one and a half times them, each with a second kind of reading."""
    began, since, most = time.monotonic(), trial.settings.clock.now(), 0.0
    while trial.homes_without_reading(since):
        before, at = asked(trial), time.monotonic()
        time.sleep(1)
        most = max(most, (asked(trial) - before) / (time.monotonic() - at))
        assert time.monotonic() - began < BACK_WITHIN_S, "not all homes are back"
    assert most <= 3 * ORDINARY, f"{most:.0f} requests in a second after it was back"
    return time.monotonic() - began


def plan(chance: Random) -> Sequence[Strike]:
    return [
        away(kind, chance.uniform(20, 40), chance.uniform(3, 6))
        for kind in chance.sample(sorted(ANSWERS), len(ANSWERS))
    ]


SCENARIOS = [
    Scenario(
        "relay-away",
        8,
        "the relay answers everybody with 503, with 401, with garbage, for half a minute each",
        plan,
        SETUP,
    ),
    Scenario(
        "relay-brief",
        8,
        "the relay answers everybody with 503 for twenty seconds",
        lambda _: [away("503", 15.0, 3.0)],
        SETUP,
    ),
]
