from __future__ import annotations

import threading

import pytest

from workers.process import shutdown
from workers.process.shutdown import ForcedShutdown


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "FAREWELL", 0.05)
    monkeypatch.setattr(shutdown, "_LOOKING", 0.001)


def test_tasks_may_finish_and_what_is_open_is_closed_before_the_end() -> None:
    tasks = {"one": 0.0}
    happened: list[str] = []
    end = ForcedShutdown(
        tasks,
        lambda: happened.append("closed"),
        within=60,
        end=lambda status: happened.append(f"ended {status}"),
    )
    end.start()
    end.join(0.05)
    assert happened == []
    tasks.clear()
    end.join(10)
    assert happened == ["closed", "ended 0"]


def hangs(for_ever: threading.Event) -> None:
    for_ever.wait(60)


def test_neither_a_task_nor_a_closing_that_hangs_puts_the_end_off() -> None:
    ended = threading.Event()
    forever = threading.Event()
    end = ForcedShutdown(
        {"one": 0.0}, lambda: hangs(forever), within=0.2, end=lambda _: ended.set()
    )
    end.start()
    assert ended.wait(10)
    forever.set()
