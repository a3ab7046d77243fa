"""Which scenarios run (`FAULTS=all`: every one), with which seed (`FAULTS_SEED`), and where their
rows go (`FAULTS_ROWS`: a file). `make faults` sets all three."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.fault_table import Noted, Row
from tests.faults.one_worker import World, telling

EVERYTHING = os.environ.get("FAULTS") == "all"
SEED = int(os.environ.get("FAULTS_SEED") or 1)
ROWS = os.environ.get("FAULTS_ROWS")

_rows: list[Row] = []


@pytest.fixture
def seed() -> int:
    return SEED


@pytest.fixture
def noted() -> Noted:
    return _rows.append


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with telling(tmp_path) as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    for row in _rows:
        print(row)
    if ROWS:
        Path(ROWS).write_text(json.dumps([asdict(row) for row in _rows]))
