"""A fetch has six seconds, rotation an hour: who only rotates takes the CPU that the others leave."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICE = 10
"""A ninth of the share of who is not nice; nothing is lost of what is idle."""

_AUTOGROUP = Path("/proc/self/autogroup")


def yield_to_others() -> None:
    """Rank this process behind the others on its machine.

    Where Linux weighs sessions (autogroup) before it looks at what is in them, its session too, if
    that is its own. A container's share is its engine's to give.
    """
    with suppress(OSError):  # a limit of the system's administrator
        os.nice(max(0, NICE - os.nice(0)))  # who started it may have ranked it lower yet
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _AUTOGROUP.write_text(str(NICE))
