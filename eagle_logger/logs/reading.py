"""Reading log lines back from a file that may hold anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eagle_logger.core.lines import Line, parse_line

_START = b'{"v":'
"""How every line begins."""


class Bad(NamedTuple):
    """What stands where a line should: its number in the file (from 1), its bytes without the newline, and what is wrong."""

    number: int
    content: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Lines:
    """What a file holds, in the order of the file."""

    lines: list[Line] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


def each_line(path: Path, cloud_id: str, *, still_written: bool) -> Iterator[Line | Bad]:
    """The file's lines one by one, readable or not, without holding them all.

    What follows the last newline of a file that is `still_written` is an append in progress, or a torn one that its next
    writer will cut off: it is passed over. Raises FileNotFoundError.
    """
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if still_written and not text.endswith(b"\n"):
                return
            yield from _parsed(number, text.removesuffix(b"\n"), cloud_id)


def _parsed(number: int, text: bytes, cloud_id: str) -> Iterator[Line | Bad]:
    """A line, or what is wrong with it. Where something torn lies in front of a whole line, both are given."""
    try:
        yield _line_of(text, cloud_id)
        return
    except (ValueError, ArithmeticError, RecursionError) as wrong:
        reason = str(wrong)
    start = text.rfind(_START)
    whole = None
    if start > 0:
        try:
            whole = _line_of(text[start:], cloud_id)
        except (ValueError, ArithmeticError, RecursionError):
            start = -1
    yield Bad(number, text[:start] if whole else text, reason)
    if whole:
        yield whole


def _line_of(text: bytes, cloud_id: str) -> Line:
    line = parse_line(text)
    if line.cloud_id != cloud_id:
        raise ValueError(f"it is a reading of {line.cloud_id}, in a file of {cloud_id}")
    return line
