"""The names of one user's files of an hour: one open file, sealed files, a receipt for each of
these, and a note.

rainforest-002738-2015-03-10-17.jsonl               open: may be appended to
rainforest-002738-2015-03-10-17.0001.sealed.jsonl   closed for good
rainforest-002738-2015-03-10-17.0001.receipt.json   the archive holds it
rainforest-002738-2015-03-10-17.stuck.json          why the hour's other files cannot be archived

All lie in the folder of the hour and shard.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import parse_log_file
from eagle_logger.logs.receipt import Receipt
from eagle_logger.logs.stuck import LARGEST_NOTE, StuckUserHour

OPEN = ".jsonl"
SEALED = ".sealed.jsonl"
RECEIPT = ".receipt.json"
STUCK = ".stuck.json"

_NUMBERED = re.compile(r"(.+)\.(\d{4,})(\.sealed\.jsonl|\.receipt\.json)")


@dataclass(frozen=True, slots=True)
class LogFile:
    """A user's hour that may still be appended to."""

    path: Path
    cloud_id: str
    hour: Hour
    shard: str


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A log file that is closed for good. `sequence` counts the sealed files of this user's hour on
    this volume, from 1. `receipt` is what lay beside the file when it was listed."""

    path: Path
    cloud_id: str
    hour: Hour
    shard: str
    sequence: int
    receipt: Receipt | None

    @property
    def receipt_path(self) -> Path:
        return self.path.with_name(_receipt_name(self.path.name))


def open_file(path: Path) -> LogFile | None:
    """The log file that this path names; None if it does not name an open one."""
    user_and_hour = parse_log_file(path.name)
    return LogFile(path, *user_and_hour, path.parent.name) if user_and_hour else None


def sealed_file(path: Path) -> SealedFile | None:
    """The sealed file that this path names, with its receipt if there is a readable one; None if it
    does not name a sealed file."""
    parts = numbered(path.name)
    user_and_hour = parse_log_file(parts[0]) if parts and parts[2] == SEALED else None
    if parts is None or user_and_hour is None:
        return None
    sealed = SealedFile(path, *user_and_hour, path.parent.name, parts[1], None)
    return replace(sealed, receipt=receipt_of(sealed))


def numbered(name: str) -> tuple[str, int, str] | None:
    """What the name of a sealed file or a receipt consists of: the open file's name, the sequence
    number and the ending. None for any other name."""
    match = _NUMBERED.fullmatch(name)
    return (match[1] + OPEN, int(match[2]), match[3]) if match else None


def sealed_path(path: Path, sequence: int) -> Path:
    """Where the open file at `path` goes when it is sealed."""
    return path.with_name(f"{path.name.removesuffix(OPEN)}.{sequence:04d}{SEALED}")


def numbered_paths(path: Path, sequence: int) -> tuple[Path, Path]:
    """The sealed file and the receipt of this number that belong to the open file at `path`."""
    sealed = sealed_path(path, sequence)
    return sealed, sealed.with_name(_receipt_name(sealed.name))


def next_sequence(path: Path) -> int:
    """The first number that neither a sealed file nor a receipt of the open file at `path` has:
    otherwise a receipt whose file is gone could prove another file."""
    # One name after the other is tried. Listing a folder of thousands for each file adds up.
    sequence = 1
    while any(name.exists() for name in numbered_paths(path, sequence)):
        sequence += 1
    return sequence


def sealed_bytes(path: Path, now: float) -> int:
    """The size of all sealed files that belong to the open file at `path`. `now`: Unix seconds.

    Numbers may be missing, because a file is removed some time after it was archived. So the folder
    of an hour that is over is listed. Before that, one number after the other is tried, up to the
    first free one: when an hour begins, listing its folder for each of thousands of homes would
    hold up their first lines.
    """
    user_and_hour = parse_log_file(path.name)
    if user_and_hour is None or now < user_and_hour[1].end:
        return _sealed_bytes_up_to_first_free_number(path)
    size = 0
    for name in os.listdir(path.parent):  # noqa: PTH208  (a Path for each of thousands is slow)
        parts = numbered(name) if name.startswith(path.stem) else None
        if parts and parts[0] == path.name and parts[2] == SEALED:
            with suppress(FileNotFoundError):
                size += path.with_name(name).stat().st_size
    return size


def _sealed_bytes_up_to_first_free_number(path: Path) -> int:
    size, sequence = 0, 1
    while True:
        sealed, receipt = numbered_paths(path, sequence)
        try:
            size += sealed.stat().st_size
        except FileNotFoundError:
            if not receipt.exists():
                return size
        sequence += 1


def receipt_of(sealed: SealedFile) -> Receipt | None:
    """The receipt beside a sealed file. None if it cannot be read or is another file's: it proves
    nothing then, and the file counts as not archived."""
    try:
        receipt = Receipt.from_json(sealed.receipt_path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return receipt if (receipt.cloud_id, receipt.hour) == (sealed.cloud_id, sealed.hour) else None


def stuck_path(folder: Path, cloud_id: str, hour: Hour) -> Path:
    """The path of the note that says why this user's hour cannot be archived."""
    return folder / f"rainforest-{cloud_id}-{hour}{STUCK}"


def read_stuck(path: Path) -> StuckUserHour | None:
    """The note at `path`. None for a note that cannot be read or is about another hour: rotation
    tries the hour then."""
    try:
        with path.open("rb") as file:
            note = StuckUserHour.from_json(file.read(LARGEST_NOTE))
    except (OSError, ValueError, RecursionError):
        return None
    return note if path == stuck_path(path.parent, note.cloud_id, note.hour) else None


def user_and_hour_of(name: str) -> str:
    """The beginning of a name that stands for a user and hour. All of the user's files of the hour
    share it."""
    return name.partition(".")[0]


def without_receipt(names: Iterable[str]) -> list[str]:
    """The log files among these names, open or sealed, that are not archived."""
    all_names = set(names)
    return [
        name for name in all_names if name.endswith(OPEN) and _receipt_name(name) not in all_names
    ]


def waiting(names: Iterable[str]) -> set[str]:
    """The users and hours, spelled as `user_and_hour_of` does, that have something to archive."""
    return {user_and_hour_of(name) for name in without_receipt(names)}


def parents_up_to(path: Path, root: Path) -> list[Path]:
    """The folders whose names lead to `path`, from its parent up to and including `root`."""
    depth = len(path.relative_to(root).parts)
    return list(path.parents)[:depth]


def _receipt_name(sealed_name: str) -> str:
    return sealed_name.removesuffix(SEALED) + RECEIPT
