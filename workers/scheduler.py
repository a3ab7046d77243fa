"""Beat's scheduler: Celery's own in memory, which goes on when its machine's clock is set back."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery import beat

_log = structlog.get_logger("eagle_logger.beat")

_BACK = 1.0
"""Seconds by which the clock must have gone back."""


class Scheduler(beat.Scheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's notes when each entry is next due by the machine's clock. Set back by an hour, that clock would have nothing
    sent for an hour; so each entry begins its period anew."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ahead = _ahead_of_steady()
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        before, self._ahead = self._ahead, _ahead_of_steady()
        if self._ahead < before - _BACK:
            seconds = round(before - self._ahead, 1)
            _log.warning(
                "clock_set_back", seconds=seconds, detail="this machine's clock was set back: beat begins its periods anew"
            )
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        wait: float = super().tick(*args, **kwargs)
        return wait


def _ahead_of_steady() -> float:
    return time.time() - time.monotonic()
