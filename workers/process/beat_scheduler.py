"""Beat's scheduler: Celery's in-memory one, which goes on sending when its machine's clock is set
back."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery import beat

_log = structlog.get_logger("eagle_logger.beat")

_SMALLEST_STEP_BACK_S = 1.0
"""A clock that goes back by less was not set by anybody; it only drifts."""


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's scheduler keeps the time, by the machine's clock, at which each entry is next due.
    Beat would send nothing for an hour after that clock was set back by an hour; so every entry
    begins its period anew then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._offset = _offset_from_steady_clock()
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        offset_before, self._offset = self._offset, _offset_from_steady_clock()
        step_back = offset_before - self._offset
        if step_back > _SMALLEST_STEP_BACK_S:
            detail = "this machine's clock was set back: beat begins its periods anew"
            _log.warning("clock_set_back", seconds=round(step_back, 1), detail=detail)
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self.populate_heap()
        wait: float = super().tick(*args, **kwargs)
        return wait


def _offset_from_steady_clock() -> float:
    """Seconds. It changes only when the machine's clock is set."""
    return time.time() - time.monotonic()
