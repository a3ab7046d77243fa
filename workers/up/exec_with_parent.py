"""Become another program, tied to the life of the process that started it: `exec_with_parent.py
KILL program arguments…`.

On Linux the kernel sends the named signal when the parent ends, however it ends (PR_SET_PDEATHSIG,
which outlives exec). Elsewhere there is nothing of the kind: there, a `kill -9` of the parent
leaves the program running.

Stands alone, so that it starts in a few milliseconds: it imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import sys

PARENT = "UP_PARENT"
"""The variable that names the process this one must not outlive."""

_PR_SET_PDEATHSIG = 1
_PARENT_GONE = 75


def die_with_parent(number: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  (slow to import, and of use on Linux only)

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def main(arguments: list[str]) -> None:
    number = signal.Signals[f"SIG{arguments[0]}"]
    command = arguments[1:]
    die_with_parent(number)
    # A parent that ended before the line above took effect sends no signal any more.
    if os.getppid() != int(os.environ[PARENT]):
        sys.exit(_PARENT_GONE)
    os.environ[PARENT] = str(os.getpid())
    os.execvp(command[0], command)  # noqa: S606  (that no shell is in between is the point)


if __name__ == "__main__":
    main(sys.argv[1:])
