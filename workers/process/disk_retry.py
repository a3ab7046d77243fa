"""While the disk refuses, a worker holds its message for a while and tries again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from eagle_logger.errors import DiskUnavailable

Result = TypeVar("Result")

TRY_EVERY_S = 0.5


def retry_while_disk_fails(
    work: Callable[[], Result], stopping: threading.Event, for_seconds: float
) -> Result:
    """The result of `work`, which is tried again for so many seconds while the disk refuses. Raises
    DiskUnavailable.

    A message that failed at once would do harm: a node whose disk is full would take message after
    message from the nodes that could serve them, and each message's users would wait for the end of
    their lease.
    """
    until = time.monotonic() + for_seconds
    while True:
        try:
            return work()
        except DiskUnavailable:
            if time.monotonic() >= until or stopping.wait(TRY_EVERY_S):
                raise
