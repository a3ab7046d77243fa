"""Which scenarios run (`FAULTS=all`: every one), with which seed (`FAULTS_SEED`), and where their rows go."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.faults import table
from tests.faults.table import Row

EVERYTHING = os.environ.get("FAULTS") == "all"
SEED = int(os.environ.get("FAULTS_SEED") or 1)

_rows: list[Row] = []


@pytest.fixture
def seed() -> int:
    return SEED


@pytest.fixture
def noted() -> Callable[[Row], None]:
    """Takes the row of a run that went well."""
    return _rows.append


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    for row in _rows:
        print(row)
    if EVERYTHING and _rows:
        table.write(_rows)
