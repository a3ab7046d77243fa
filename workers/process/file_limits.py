"""How many files and sockets this process may have open at once."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_limit(wanted: int) -> None:
    """Raise the soft limit to so many, as far as the hard one allows; never lower it.

    It is low (1024) by default for the sake of programs that use select(2), which knows no higher
    numbers. Celery's and our own loops use epoll or poll, and a worker with threads starts no other
    programs, which would inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most > soft:
        with suppress(ValueError, OSError):  # macOS has a bound of its own below the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
