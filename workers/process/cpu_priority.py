"""A process that only rotates or makes day tables takes the CPU that the others leave: a fetch has
six seconds, rotation has an hour, a day's tables have a day."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10
"""Such a process gets a ninth of the CPU share of a process of niceness 0. It still gets everything
that would be idle."""

_AUTOGROUP = Path("/proc/self/autogroup")
"""Linux, where `autogroup` is on, shares the CPU among sessions first, then within each."""


def yield_to_others() -> None:
    """Rank this process behind the others on its machine, and its session too if it leads one. What
    share a whole container gets, its engine decides."""
    with suppress(OSError):  # the system's administrator may forbid it
        # If the process was started with a higher niceness, that one stays.
        os.nice(max(0, NICENESS - os.nice(0)))
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _AUTOGROUP.write_text(str(NICENESS))
