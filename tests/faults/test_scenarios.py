"""Every scenario, carried out by its plan and judged by the one oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import (
    brief,
    clocks,
    delivery,
    disk_full,
    failover,
    hostile,
    people,
    poisoned,
    processes,
    redis_away,
    relay_away,
    relay_refuses,
    relay_unwell,
    s3_away,
    s3_one_home,
    stopping,
)
from tests.faults.conftest import EVERYTHING
from tests.faults.scenario import Scenario, run
from tests.faults.table import Noted

MODULES = (
    brief,
    clocks,
    processes,
    redis_away,
    failover,
    s3_away,
    s3_one_home,
    disk_full,
    delivery,
    relay_away,
    relay_refuses,
    relay_unwell,
    hostile,
    poisoned,
    people,
    stopping,
)
ALL: list[Scenario] = [one for module in MODULES for one in module.SCENARIOS]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [one for one in ALL if EVERYTHING or one.short], ids=lambda one: one.name)
def test_exactly_once(scenario: Scenario, seed: int, tmp_path: Path, noted: Noted) -> None:
    noted(run(scenario, seed, tmp_path))
