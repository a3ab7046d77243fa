"""Runs supervisord so that it outlives a full disk: a line that its logs do not take is lost, and
ends nothing.

supervisor itself then writes to standard error, a file on the same disk, and dies of that.
"""

from __future__ import annotations

from supervisor import loggers, supervisord


def main() -> None:
    loggers.Handler.handleError = _pass_over
    supervisord.main()


def _pass_over(_: loggers.Handler) -> None:
    pass


if __name__ == "__main__":
    main()
