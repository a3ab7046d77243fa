"""Closes what a process writes to other users of the machine: log files, the archive, Redis' files,
a dump of its memory."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

DIRECTORY_MODE = 0o700


def write_for_own_user_only() -> None:
    """Create files for this user only, and write no core dump, which would hold keys and passwords.
    This holds from now on, for this process and for the processes that it starts."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def close_to_others(directory: Path) -> None:
    """Let no other user into this directory, and so to nothing below it. A directory of another
    owner stays as it is."""
    with contextlib.suppress(PermissionError):
        if directory.stat().st_mode & 0o777 != DIRECTORY_MODE:
            directory.chmod(DIRECTORY_MODE)
