from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from eagle_logger.errors import DiskUnavailable
from workers.process import disk_retry
from workers.process.disk_retry import retry_while_disk_fails


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_retry, "TRY_EVERY_S", 0.001)


def refusing(times: int) -> Callable[[], str]:
    left = [times]

    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise DiskUnavailable
        return "12 users"

    return work


def test_work_goes_on_as_soon_as_the_disk_takes_writes() -> None:
    assert retry_while_disk_fails(refusing(5), threading.Event(), 60.0) == "12 users"


def test_work_fails_once_its_time_is_over() -> None:
    with pytest.raises(DiskUnavailable):
        retry_while_disk_fails(refusing(1_000_000), threading.Event(), 0.05)


def test_work_fails_at_once_in_a_worker_that_stops() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(DiskUnavailable):
        retry_while_disk_fails(refusing(1), stopping, 60.0)


def test_any_other_error_is_raised_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        retry_while_disk_fails(lambda: str(1 // 0), threading.Event(), 60.0)
