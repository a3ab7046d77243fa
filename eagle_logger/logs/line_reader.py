"""Reading log lines back from a file that may hold anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eagle_logger.core.line_parser import LogLine, read_lines


class BadLine(NamedTuple):
    """What stands where a line should: its number in the file (from 1), its bytes without the
    newline, and what is wrong."""

    number: int
    content: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class LineSource:
    """What a file holds, in the order of the file."""

    lines: list[LogLine] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


def each_line(path: Path, cloud_id: str, *, still_written: bool) -> Iterator[LogLine | BadLine]:
    """The file's lines one by one, readable or not, without holding them all.

    What follows the last newline of a file that is `still_written` is an append in progress, or a
    torn one that its next writer will cut off: it is passed over. Raises FileNotFoundError.
    """
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if still_written and not text.endswith(b"\n"):
                return
            entries, unreadable = read_lines(text, cloud_id)
            yield from (BadLine(number, content, reason) for content, reason in unreadable)
            yield from entries
