"""Fault 1: kill -9 of every process of the system, alone and together."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Trial

VICTIMS = ("fetch-1", "fetch-2", "rotator", "dispatcher", "beat")


def killed(name: str, calm: float) -> Strike:
    return Strike(f"kill -9 of {name}", lambda trial: trial.kill(name), calm=calm, flow=archiving)


def one_after_another(chance: Random, rounds: int = 3) -> Sequence[Strike]:
    order = [name for _ in range(rounds) for name in chance.sample(VICTIMS, len(VICTIMS))]
    return [killed(name, chance.uniform(0, 4)) for name in order]


def everything_at_once(chance: Random) -> Sequence[Strike]:
    return [
        Strike(
            "kill -9 of everything at once, Redis too",
            Trial.kill_everything,
            end=Trial.start_again,
            lasts=chance.uniform(0, 3),
            calm=chance.uniform(0, 4),
            flow=archiving,
        )
        for _ in range(3)
    ]


SCENARIOS = [
    Scenario(
        "processes-one",
        1,
        "kill -9 of a fetcher (and with it its pool), the rotator, the dispatcher, beat, in turn",
        one_after_another,
    ),
    Scenario(
        "processes-all",
        1,
        "kill -9 of the whole system at once, Redis included",
        everything_at_once,
    ),
]
