"""Output to a terminal, which no text from a gateway or a person may steer."""

from __future__ import annotations

import sys
from typing import Any, TextIO, cast

import structlog

from eagle_logger.core.printable import harmless, harmless_json, without_steering

__all__ = ["harmless", "keep_logs_apart", "print_json", "protect_terminals"]


def print_json(line: bytes) -> None:
    """Print a line of JSON that ends with a newline. A pipe or file gets the bytes as they are. On
    a terminal, characters that could steer it are escaped."""
    if sys.stdout.isatty():
        sys.stdout.write(harmless_json(line.decode(errors="replace")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(line)


def keep_logs_apart() -> None:
    """Send log lines to standard error from now on, so that they do not mix with the command's
    output."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def protect_terminals() -> None:
    """From now on, replace characters that steer a terminal, whatever this process prints to it."""
    if sys.stdout.isatty():
        sys.stdout = cast(TextIO, _Protected(sys.stdout))
    if sys.stderr.isatty():
        sys.stderr = cast(TextIO, _Protected(sys.stderr))


class _Protected:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(without_steering(text))

    def writelines(self, lines: list[str]) -> None:
        self._stream.writelines(map(without_steering, lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
