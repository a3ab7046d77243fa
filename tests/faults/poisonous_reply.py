"""Fault 9: one home whose reply kills the process that reads it, before the process has reported
anything of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from eagle_logger.core.poison_users import PARKED_AFTER_DEATHS
from tests.faults.poison.sitecustomize import FILE
from tests.faults.scenario import Scenario, Strike
from tests.faults.system_under_test import Setup, Trial
from workers.up.simulators import read_homes

SETUP = Setup(homes=20, environment={"PYTHONPATH": str(Path(__file__).with_name("poison"))})
PARKED_WITHIN_S = 120.0


def poison(trial: Trial, number: int) -> None:
    victim = read_homes(trial.plan.users_file)[number].user.cloud_id
    (trial.data / FILE).write_text(victim)


def parked_and_nobody_else(trial: Trial) -> None:
    """Check that the user is parked with a reason after a few tries, and that all others are
    fetched meanwhile."""
    victim = (trial.data / FILE).read_text()
    before = trial.deaths_so_far()
    trial.until(lambda: bool(parked(trial)), PARKED_WITHIN_S)
    assert list(parked(trial)) == [victim]
    assert parked(trial)[victim].startswith("poison: ")
    assert trial.deaths_so_far() - before <= PARKED_AFTER_DEATHS + 3
    trial.await_flow()
    assert list(parked(trial)) == [victim]


def fetched_again(trial: Trial) -> float:
    """Mend the reply and add the user again; returns the seconds until all readings flow."""
    (trial.data / FILE).unlink()
    new = [one for one in read_homes(trial.plan.users_file) if one.user.cloud_id in parked(trial)]
    trial.run(trial.store.users.put(new))
    began = time.monotonic()
    trial.await_flow()
    assert not parked(trial)
    return time.monotonic() - began


def parked(trial: Trial) -> dict[str, str]:
    return {one.user.cloud_id: one.state.parked for one in trial.everybody() if one.state.parked}


def plan(chance: Random) -> Sequence[Strike]:
    return [struck(number, chance.uniform(1, 4)) for number in chance.sample(range(SETUP.homes), 2)]


def struck(number: int, calm: float) -> Strike:
    return Strike(
        f"the replies of home {number} kill the process that reads them",
        lambda trial: poison(trial, number),
        end=parked_and_nobody_else,
        calm=calm,
        flow=fetched_again,
    )


SCENARIOS = [
    Scenario(
        "poison",
        9,
        "a home whose reply kills the process that reads it, and then another one",
        plan,
        SETUP,
    )
]
