"""When to restart a program that keeps dying and that the system can do without. Pure.

supervisor gives a program up after five quick deaths. Readings still flow without Flower, the
bridge or sqs, so the death of one of these must not end the system. It is started again after ever
longer pauses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 300.0
"""Seconds between giving a program up and its next start. Each pause is twice as long as the one
before."""
WELL_AFTER_S = 60.0
"""Seconds that a program must run before it counts as well again. Five deaths in a row take half of
that."""


@dataclass(slots=True)
class _Trouble:
    pauses: int = 0
    start_at: float | None = None
    started_at: float = 0.0


@dataclass(slots=True)
class Restarts:
    """The programs that were given up. Moments are seconds of any clock that only goes forward."""

    _troubled: dict[str, _Trouble] = field(default_factory=dict)

    @property
    def troubled(self) -> list[str]:
        """The names of the programs that were given up and are not well again."""
        return sorted(self._troubled)

    def gave_up(self, name: str, now: float) -> float:
        """Note that supervisor gave this program up. Returns the seconds until its next start."""
        trouble = self._troubled.setdefault(name, _Trouble())
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**trouble.pauses)
        trouble.pauses = min(trouble.pauses + 1, 16)
        trouble.start_at = now + pause
        return pause

    def due(self, now: float) -> list[str]:
        """The programs to start now. Each is named once for each time it was given up."""
        names = [
            name
            for name, trouble in self._troubled.items()
            if trouble.start_at and trouble.start_at <= now
        ]
        for name in names:
            self._troubled[name].start_at, self._troubled[name].started_at = None, now
        return names

    def recovered(self, now: float) -> list[str]:
        """The programs that have run long enough since their last start. Each is named once."""
        names = [
            name
            for name, trouble in self._troubled.items()
            if trouble.start_at is None and now - trouble.started_at >= WELL_AFTER_S
        ]
        for name in names:
            del self._troubled[name]
        return names
