"""Every scenario, carried out by its plan and judged by the one oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import disk_full, people, poisoned, processes, redis_away, relay_away
from tests.faults.conftest import EVERYTHING
from tests.faults.scenario import Scenario, run
from tests.faults.table import Row

ALL: list[Scenario] = [
    *processes.SCENARIOS,
    *redis_away.SCENARIOS,
    *relay_away.SCENARIOS,
    *poisoned.SCENARIOS,
    *disk_full.SCENARIOS,
    *people.SCENARIOS,
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [one for one in ALL if EVERYTHING or one.short], ids=lambda one: one.name)
def test_exactly_once(scenario: Scenario, seed: int, tmp_path: Path, noted: Callable[[Row], None]) -> None:
    noted(run(scenario, seed, tmp_path))
