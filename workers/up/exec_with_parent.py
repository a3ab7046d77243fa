"""Become another program, tied to the life of the process that started it: `exec_with_parent.py
KILL program arguments…`.

On Linux the kernel sends the named signal when the parent ends, however it ends (PR_SET_PDEATHSIG,
which outlives exec). Other systems have nothing of the kind: there, a `kill -9` of the parent
leaves the program running.

This script imports nothing of eagle_logger, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys

PARENT = "UP_PARENT"
"""The variable that names the process this one must not outlive."""

_PR_SET_PDEATHSIG = 1
_EXIT_PARENT_GONE = 75


def _die_with_parent(signal_number: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  (slow to import, and needed on Linux only)

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def main(arguments: list[str]) -> None:
    signal_name, *command = arguments
    _die_with_parent(signal.Signals[f"SIG{signal_name}"])
    # A parent that ended before the line above took effect sends no signal any more.
    if os.getppid() != int(os.environ[PARENT]):
        sys.exit(_EXIT_PARENT_GONE)
    os.environ[PARENT] = str(os.getpid())
    os.execvp(command[0], command)  # noqa: S606  (no shell in between)


if __name__ == "__main__":
    main(sys.argv[1:])
