"""Fault 5, the whole system: the log volume fills up. Fetching stops before it would lose readings,
the workers report it, and fetching resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.relay_away import asked
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial
from tests.support import volumes

GUARD = 2 * 2**20
"""EAGLE_MIN_FREE_DISK, in bytes."""
SETUP = Setup(homes=12, log_volume="24m", settings={"min_free_disk": str(GUARD)})
NOTICED_WITHIN = 15.0


def fill(trial: Trial, leave: int) -> None:
    volumes.fill(trial.settings.logs_dir, leave)


def has_stopped(trial: Trial) -> None:
    """Check that every fetching worker reports the trouble, and that no gateway is asked any more,
    because its readings could not be kept. Then make room."""
    trial.until(lambda: {"fetch-1", "fetch-2"} <= troubled(trial), NOTICED_WITHIN)
    time.sleep(2)  # until the requests that were on their way are answered
    before = asked(trial)
    time.sleep(4)
    assert asked(trial) == before, "gateways are asked for what cannot be kept"
    (trial.settings.logs_dir / "ballast").unlink()


def troubled(trial: Trial) -> set[str]:
    return {
        name
        for name, note in trial.run(trial.store.fleet.progress()).items()
        if "disk_trouble" in note
    }


def full(leave: int, calm: float) -> Strike:
    return Strike(
        f"the log volume has {leave // 1024} KiB left",
        lambda trial: fill(trial, leave),
        end=has_stopped,
        lasts=1.0,
        calm=calm,
        flow=archiving,
    )


def plan(chance: Random) -> Sequence[Strike]:
    return [
        full(leave, chance.uniform(1, 4))
        for leave in (0, chance.randrange(1, 64) * 4096, GUARD // 2, 0)
    ]


SCENARIOS = [
    Scenario(
        "disk-full",
        5,
        "the log volume fills up to its last byte, or below EAGLE_MIN_FREE_DISK",
        plan,
        SETUP,
    )
]
