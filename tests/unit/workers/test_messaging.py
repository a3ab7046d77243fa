from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from eagle_logger.settings import Settings
from workers.app import make_app


def test_a_broker_that_was_away_for_long_is_found_again_within_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    told: list[float] = []
    app = make_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause: told.append(pause), 30)
    assert len(told) == 30
    assert max(told) == 2.0
    assert sum(slept) == pytest.approx(sum(told))
