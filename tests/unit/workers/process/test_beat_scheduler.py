"""Beat sends on when its machine's clock is set."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from celery import Celery

from workers.process.beat_scheduler import Scheduler

ENTRIES = {
    "dispatch": {"task": "dispatch", "schedule": 1.0},
    "rotate": {"task": "rotate", "schedule": 300.0},
}


class Machine:
    """A clock that can be set, and a steady one."""

    def __init__(self, app: Celery, patch: pytest.MonkeyPatch) -> None:
        self.steady, self.ahead = 1000.0, 1_800_000_000.0
        self.sent: list[str] = []
        patch.setattr(time, "time", lambda: self.steady + self.ahead)
        patch.setattr(time, "monotonic", lambda: self.steady)
        patch.setattr(app, "now", lambda: datetime.fromtimestamp(time.time(), UTC))
        self.scheduler = Scheduler(app=app, lazy=True)
        patch.setattr(
            self.scheduler, "apply_entry", lambda entry, **_: self.sent.append(entry.name)
        )
        self.scheduler.setup_schedule()

    def passes(self, seconds: int) -> list[str]:
        self.sent.clear()
        for _ in range(seconds):
            self.steady += 1
            while self.scheduler.tick() == 0:
                pass
        return self.sent


@pytest.mark.parametrize("step", [-3600.0, -90 * 86400.0, -3.0, 3600.0])
def test_beat_sends_on_after_its_clock_was_set(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.update(beat_schedule=ENTRIES, timezone="UTC")
    machine = Machine(app, monkeypatch)
    assert machine.passes(20).count("dispatch") >= 19
    machine.ahead += step
    sent = machine.passes(320)
    assert sent.count("dispatch") >= 319
    assert 1 <= sent.count("rotate") <= 2
