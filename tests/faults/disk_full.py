"""Fault 5, the whole system: the log volume fills up, or the whole data directory with Redis' files
in it. Fetching stops before it would lose readings, and resumes by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from tests.faults.relay_away import asked
from tests.faults.scenario import Scenario, Strike, archiving
from tests.faults.system_under_test import Setup, Trial
from tests.support.volumes import fill

GUARD = 2 * 2**20
"""EAGLE_MIN_FREE_DISK, in bytes."""
SETTINGS = {"min_free_disk": str(GUARD)}
NOTICED_WITHIN_S = 15.0


def workers_report_it(trial: Trial) -> None:
    trial.until(lambda: {"fetch-1", "fetch-2"} <= troubled(trial), NOTICED_WITHIN_S)


def no_gateway_is_asked(trial: Trial) -> None:
    """Readings that gateways show now could not be kept."""

    def nothing_is_on_its_way() -> bool:
        before = asked(trial)
        time.sleep(1)
        return asked(trial) == before

    trial.until(nothing_is_on_its_way, NOTICED_WITHIN_S)
    before = asked(trial)
    time.sleep(4)
    assert asked(trial) == before, "gateways are asked for what cannot be kept"


def troubled(trial: Trial) -> set[str]:
    return {
        name
        for name, note in trial.run(trial.store.fleet.progress()).items()
        if "disk_trouble" in note
    }


def log_volume_has(leave: int, calm: float) -> Strike:
    def end(trial: Trial) -> None:
        workers_report_it(trial)
        no_gateway_is_asked(trial)
        (trial.settings.logs_dir / "ballast").unlink()

    return Strike(
        f"the log volume has {leave // 1024} KiB left",
        lambda trial: fill(trial.settings.logs_dir, leave),
        end=end,
        lasts=1.0,
        calm=calm,
        flow=archiving,
    )


def data_directory_is_full(lasts: float, calm: float) -> Strike:
    """The workers cannot report it, because Redis takes no writes either."""

    def end(trial: Trial) -> None:
        no_gateway_is_asked(trial)
        (trial.data / "ballast").unlink()

    return Strike(
        "the whole data directory is full",
        lambda trial: fill(trial.data),
        end=end,
        lasts=lasts,
        calm=calm,
        flow=archiving,
    )


def full_log_volume(chance: Random) -> Sequence[Strike]:
    return [
        log_volume_has(leave, chance.uniform(1, 4))
        for leave in (0, chance.randrange(1, 64) * 4096, GUARD // 2, 0)
    ]


def full_data_directory(chance: Random) -> Sequence[Strike]:
    return [data_directory_is_full(chance.uniform(4, 20), chance.uniform(1, 4)) for _ in range(3)]


SCENARIOS = [
    Scenario(
        "disk-full",
        5,
        "the log volume fills up to its last byte, or below EAGLE_MIN_FREE_DISK",
        full_log_volume,
        Setup(homes=12, log_volume="24m", settings=SETTINGS),
    ),
    Scenario(
        "disk-full-data",
        5,
        "the whole data directory, with Redis' files, fills up to its last byte",
        full_data_directory,
        Setup(homes=12, data_volume="96m", settings=SETTINGS),
    ),
]
