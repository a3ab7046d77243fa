from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from eagle_logger.errors import DiskUnavailable
from workers.process import disk_retry
from workers.process.disk_retry import when_there_is_room


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_retry, "LOOKING", 0.001)


def refusing(times: int) -> Callable[[], str]:
    left = [times]

    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise DiskUnavailable
        return "12 users"

    return work


def test_it_goes_on_as_soon_as_there_is_room() -> None:
    assert when_there_is_room(refusing(5), threading.Event(), 60.0) == "12 users"


def test_it_is_given_up_in_time() -> None:
    with pytest.raises(DiskUnavailable):
        when_there_is_room(refusing(1_000_000), threading.Event(), 0.05)


def test_who_is_to_stop_holds_nothing() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(DiskUnavailable):
        when_there_is_room(refusing(1), stopping, 60.0)


def test_any_other_failure_is_told_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        when_there_is_room(lambda: str(1 // 0), threading.Event(), 60.0)
