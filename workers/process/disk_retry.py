"""A message whose worker cannot write is held for a while, not failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from eagle_logger.errors import DiskUnavailable

Result = TypeVar("Result")

LOOKING = 0.5
"""Seconds between two looks at the disk."""


def when_there_is_room(
    work: Callable[[], Result], stopping: threading.Event, patience: float
) -> Result:
    """The result of `work`, which is tried again for so many seconds while the disk refuses. Raises
    DiskUnavailable.

    One that failed at once would do harm: a node whose disk is full would take message after
    message from those that could have served them, and each one's users would wait for the end of
    their lease.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return work()
        except DiskUnavailable:
            if time.monotonic() >= until or stopping.wait(LOOKING):
                raise
