"""How many files and sockets this process may have open at once."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_limit(wanted: int) -> None:
    """Raise the soft limit to `wanted`, or as far as the hard limit allows; never lower it.

    The soft limit is low (1024) by default for programs that use select(2), which takes no higher
    numbers. The loops of Celery and of this program use epoll or poll. A worker with threads starts
    no other programs, which would inherit the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if new > soft:
        with suppress(ValueError, OSError):  # macOS has a bound of its own below the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
