from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from eagle_logger.settings import Settings
from workers.process import shutdown
from workers.process.shutdown import WorkerShutdown, grace_period
from workers.up.programs import ROTATOR, Stage, system_programs

COMPOSE = Path(__file__).parents[4] / "docker-compose.yml"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "CELERY_ENDS_WITHIN_S", 0.05)
    monkeypatch.setattr(shutdown, "CHECK_TASKS_EVERY_S", 0.001)


class EndingProcess:
    """Notes what happens to it, in order."""

    def __init__(self, tasks: dict[str, float], *, grace: float) -> None:
        self.happened: list[str] = []
        self.ended = threading.Event()
        self.shutdown = WorkerShutdown(tasks, self.close, grace=grace, end=self.end)

    def close(self) -> None:
        self.happened.append("closed")

    def end(self, status: int) -> None:
        self.happened.append(f"ended {status}")
        self.ended.set()


def test_a_rotator_has_more_time_than_a_fetching_worker() -> None:
    assert grace_period(10.0, rotates=False) == 25.0
    assert grace_period(10.0, rotates=True) == 55.0


@pytest.mark.parametrize("deadline", [10.0, 30.0])
def test_up_waits_longer_for_a_worker_than_its_grace_period(deadline: float) -> None:
    settings = Settings(redis_url="redis://h/0", deadline=deadline, lease=2 * deadline)
    for program in system_programs(settings, "a-node"):
        if program.stage in {Stage.ROTATING, Stage.FETCHING, Stage.DISPATCHING}:
            rotates = program.name == ROTATOR
            assert program.stop_within > grace_period(deadline, rotates=rotates), program.name


@pytest.mark.parametrize(
    ("service", "rotates"), [("dispatcher", False), ("worker", False), ("rotator", True)]
)
def test_compose_waits_longer_for_a_worker_than_its_grace_period(
    service: str, rotates: bool
) -> None:
    settings = Settings(redis_url="redis://h/0")
    found = re.search(
        rf"^  {service}:.*?stop_grace_period: (\d+)s", COMPOSE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    assert float(found[1]) > grace_period(settings.deadline, rotates=rotates)


def test_a_forced_end_waits_for_tasks_and_closes_first() -> None:
    tasks = {"a task": 0.0}
    process = EndingProcess(tasks, grace=60)
    process.shutdown.begin()
    assert process.shutdown.begun.is_set()
    assert not process.ended.wait(0.05)
    assert process.happened == []
    tasks.clear()
    assert process.ended.wait(10)
    assert process.happened == ["closed", "ended 0"]


def test_what_was_closed_already_is_not_closed_again_by_force() -> None:
    process = EndingProcess({}, grace=1)
    process.shutdown.begin()
    process.shutdown.begin()
    process.shutdown.finish()
    process.shutdown.finish()
    assert process.ended.wait(10)
    assert process.happened == ["closed", "ended 0"]


def test_neither_a_task_nor_a_closing_that_hangs_puts_the_end_off() -> None:
    ended, never = threading.Event(), threading.Event()
    process = WorkerShutdown(
        {"a task": 0.0}, lambda: void(never.wait(60)), grace=0.2, end=lambda _: ended.set()
    )
    process.begin()
    assert ended.wait(10)
    never.set()


def void(_: object) -> None:
    """For a lambda whose result nobody wants."""
