"""Carries out every scenario by its plan, and lets the oracle judge the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import (
    clocks,
    delivery,
    disk_full,
    failover,
    hostile_homes,
    killed_processes,
    poisonous_reply,
    redis_away,
    relay_away,
    relay_refuses,
    relay_unwell,
    s3_away,
    s3_one_home,
    short_run,
    sigterm,
    tables_killed,
    user_changes,
)
from tests.faults.conftest import EVERYTHING
from tests.faults.fault_table import NoteRow
from tests.faults.scenario import Scenario, run

MODULES = (
    short_run,
    clocks,
    killed_processes,
    redis_away,
    failover,
    s3_away,
    s3_one_home,
    disk_full,
    delivery,
    relay_away,
    relay_refuses,
    relay_unwell,
    hostile_homes,
    poisonous_reply,
    user_changes,
    sigterm,
    tables_killed,
)
ALL: list[Scenario] = [one for module in MODULES for one in module.SCENARIOS]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "scenario", [one for one in ALL if EVERYTHING or one.short], ids=lambda one: one.name
)
def test_every_reading_is_archived_exactly_once(
    scenario: Scenario, seed: int, tmp_path: Path, note_row: NoteRow
) -> None:
    note_row(run(scenario, seed, tmp_path))
