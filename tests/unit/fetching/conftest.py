from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eagle_logger import logger as logger_module
from eagle_logger.fetching import log_volume
from tests.unit.fetching.world import World


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(logger_module, "REPORTING_PAUSE", 0.01)
    monkeypatch.setattr(logger_module, "REQUEST_GAP", 0.05)
    monkeypatch.setattr(log_volume, "RETRY", 0.01)
    monkeypatch.setattr(logger_module, "PATIENCE", 5.0)
    built = World(tmp_path)
    yield built
    await built.logger.close()
    assert built.relay.closed
    assert built.logs.closed
