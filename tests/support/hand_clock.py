"""A clock that a test moves by hand."""

from __future__ import annotations

from eagle_logger.clock import Clock


class HandClock(Clock):
    """It shows what a test set it to. It counts as accelerated, so that the Redis store passes its
    time to the scripts."""

    def __init__(self, at: float = 1_767_225_600.0) -> None:
        super().__init__()
        object.__setattr__(self, "_at", [at])
        object.__setattr__(self, "_jumped", [0.0])

    def now(self) -> float:
        at: list[float] = object.__getattribute__(self, "_at")
        return at[0]

    def advance(self, seconds: float) -> float:
        at: list[float] = object.__getattribute__(self, "_at")
        at[0] += seconds
        return at[0]

    def jump(self, seconds: float) -> float:
        """Set the clock ahead without any time passing, as a person does."""
        jumped: list[float] = object.__getattribute__(self, "_jumped")
        jumped[0] += seconds
        return self.advance(seconds)

    def steady(self) -> float:
        jumped: list[float] = object.__getattribute__(self, "_jumped")
        return self.now() - jumped[0]

    @property
    def is_accelerated(self) -> bool:
        return True
