"""Reading log lines back from a file that may hold anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eagle_logger.core.line_parser import LogLine, read_lines


class BadLine(NamedTuple):
    """A line that cannot be read: its number in the file (from 1), its bytes without the newline,
    and what is wrong."""

    number: int
    content: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class FileLines:
    """All lines of a file, each list in the order of the file."""

    readable: list[LogLine] = field(default_factory=list)
    unreadable: list[BadLine] = field(default_factory=list)


def each_line(path: Path, cloud_id: str, *, still_written: bool) -> Iterator[LogLine | BadLine]:
    """The file's lines one by one, readable or not. Only one of them is in memory.

    What follows the last newline of a file that is `still_written` is left out: it is an append in
    progress, or a torn line that the file's next writer will cut off. Raises FileNotFoundError.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if still_written and not line.endswith(b"\n"):
                return
            readable, unreadable = read_lines(line, cloud_id)
            yield from (BadLine(number, content, reason) for content, reason in unreadable)
            yield from readable
