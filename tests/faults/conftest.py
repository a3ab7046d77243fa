"""Options from the environment, which `make faults` sets: `FAULTS=all` runs every scenario,
`FAULTS_SEED` is the seed, and `FAULTS_ROWS` names the file for the rows of the table."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.fault_table import NoteRow, Row
from tests.faults.one_worker import World, open_world

EVERYTHING = os.environ.get("FAULTS") == "all"
SEED = int(os.environ.get("FAULTS_SEED") or 1)
ROWS = os.environ.get("FAULTS_ROWS")

_rows: list[Row] = []


@pytest.fixture
def seed() -> int:
    return SEED


@pytest.fixture
def note_row() -> NoteRow:
    return _rows.append


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    for row in _rows:
        print(row)
    if ROWS:
        Path(ROWS).write_text(json.dumps([asdict(row) for row in _rows]))
