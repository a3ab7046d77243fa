"""The files of one user's hour: one that is open, any number that are sealed, a receipt beside each
of these.

rainforest-002738-2015-03-10-17.jsonl               open: may be appended to
rainforest-002738-2015-03-10-17.0001.sealed.jsonl   closed for good
rainforest-002738-2015-03-10-17.0001.receipt.json   the archive holds it
rainforest-002738-2015-03-10-17.stuck.json          why the hour's other files cannot be archived

All are in the folder of the hour and shard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import parse_log_file
from eagle_logger.logs.receipt import Receipt
from eagle_logger.logs.stuck import MOST_BYTES, StuckUserHour

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
    this disk; `receipt` is what lay beside it when it was listed."""

    path: Path
    cloud_id: str
    hour: Hour
    shard: str
    sequence: int
    receipt: Receipt | None

    @property
    def receipt_path(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(SEALED) + RECEIPT)


def open_file(path: Path) -> LogFile | None:
    """What this path says, or None if it is not an open log file."""
    named = parse_log_file(path.name)
    return LogFile(path, *named, path.parent.name) if named else None


def numbered(name: str) -> tuple[str, int, str] | None:
    """The open file's name, the sequence number and the ending in the name of a sealed file or a
    receipt; None if neither."""
    match = _NUMBERED.fullmatch(name)
    return (match[1] + OPEN, int(match[2]), match[3]) if match else None


def sealed_path(path: Path, sequence: int) -> Path:
    """Where the open file at `path` goes when it is sealed."""
    return path.with_name(f"{path.name.removesuffix(OPEN)}.{sequence:04d}{SEALED}")


def numbered_paths(path: Path, sequence: int) -> tuple[Path, Path]:
    """The sealed file and the receipt of this number that belong to the open file at `path`."""
    sealed = sealed_path(path, sequence)
    return sealed, sealed.with_name(sealed.name.removesuffix(SEALED) + RECEIPT)


def sealed_bytes(path: Path) -> int:
    """The size of all sealed files that belong to the open file at `path`."""
    size, sequence = 0, 1
    while True:
        sealed, receipt = numbered_paths(path, sequence)
        try:
            size += sealed.stat().st_size
        except FileNotFoundError:
            if not receipt.exists():
                return size
        sequence += 1


def sealed_file(path: Path) -> SealedFile | None:
    """What this path says, and the receipt beside it if there is a readable one; None if it is not
    a sealed log file."""
    parts = numbered(path.name)
    named = parse_log_file(parts[0]) if parts and parts[2] == SEALED else None
    if parts is None or named is None:
        return None
    sealed = SealedFile(path, *named, path.parent.name, parts[1], None)
    return SealedFile(path, *named, path.parent.name, parts[1], receipt_of(sealed))


def receipt_of(sealed: SealedFile) -> Receipt | None:
    """A receipt that cannot be read, or is another file's, proves nothing: the file counts as not
    archived."""
    try:
        receipt = Receipt.from_json(sealed.receipt_path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return receipt if (receipt.cloud_id, receipt.hour) == (sealed.cloud_id, sealed.hour) else None


def stuck_path(folder: Path, cloud_id: str, hour: Hour) -> Path:
    """The path of the note that says why this user's hour cannot be archived."""
    return folder / f"rainforest-{cloud_id}-{hour}{STUCK}"


def read_stuck(path: Path) -> StuckUserHour | None:
    """The note at `path`. None for a note that cannot be read or is about another hour: then
    rotation tries the hour."""
    try:
        with path.open("rb") as file:
            found = StuckUserHour.from_json(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return found if path == stuck_path(path.parent, found.cloud_id, found.hour) else None


def user_and_hour_of(name: str) -> str:
    """The part of a note's, log file's or receipt's name that stands for its user and hour: the
    beginning of all of them."""
    return name.partition(".")[0]


def parents_up_to(path: Path, root: Path) -> list[Path]:
    """The folders whose names lead to `path`, from its parent up to and including `root`."""
    depth = len(path.relative_to(root).parts)
    return list(path.parents)[:depth]
