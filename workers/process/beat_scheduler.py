"""Beat's scheduler: Celery's in-memory one, which goes on sending when its machine's clock is set
back."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery import beat

_log = structlog.get_logger("eagle_logger.beat")

_SMALLEST_STEP_BACK = 1.0
"""Seconds. A clock that goes back less was not set."""


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's scheduler notes, by the machine's clock, when each entry is next due. If that clock
    is set back by an hour, beat would send nothing for an hour; so each entry begins its period
    anew."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ahead = _ahead_of_steady()
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        before, self._ahead = self._ahead, _ahead_of_steady()
        if self._ahead < before - _SMALLEST_STEP_BACK:
            seconds = round(before - self._ahead, 1)
            _log.warning(
                "clock_set_back",
                seconds=seconds,
                detail="this machine's clock was set back: beat begins its periods anew",
            )
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        wait: float = super().tick(*args, **kwargs)
        return wait


def _ahead_of_steady() -> float:
    return time.time() - time.monotonic()
