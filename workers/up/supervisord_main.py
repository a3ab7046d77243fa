"""Runs supervisord so that it outlives a full disk: a log line that cannot be written is lost.

Otherwise supervisor would write the error to standard error, which is a file on the same disk, and
die of that.
"""

from __future__ import annotations

from supervisor import loggers, supervisord


def main() -> None:
    loggers.Handler.handleError = _ignore_error
    supervisord.main()


def _ignore_error(_: loggers.Handler) -> None:
    pass


if __name__ == "__main__":
    main()
