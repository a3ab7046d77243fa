"""What rolling up did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from eagle_logger.core.table_plan import TableManifest


class RollUpStopped(Exception):
    """The caller asked to stop, or the time is over. What is left is for the next roller."""


@dataclass(slots=True)
class RollUpResult:
    files: int = 0
    rows: int = 0
    bytes: int = 0
    gap_files: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """Objects whose rows no table can hold exactly: the reason, by key. They stay as they are."""
    problems: dict[str, str] = field(default_factory=dict)
    """Objects that cannot be used now: the reason, by key. They are tried again."""
    stopped: bool = False
    """Whether something may be left, because the caller asked to stop, or the time was over."""

    def add(self, manifest: TableManifest) -> None:
        self.files += 1
        self.rows += manifest.rows
        self.bytes += manifest.size
        self.refused.update(manifest.refused)

    def __iadd__(self, other: RollUpResult) -> Self:
        self.files += other.files
        self.rows += other.rows
        self.bytes += other.bytes
        self.gap_files += other.gap_files
        self.refused.update(other.refused)
        self.problems.update(other.problems)
        self.stopped |= other.stopped
        return self

    def __str__(self) -> str:
        words = f"{self.files} files, {self.rows} rows, {self.bytes} bytes"
        words += f"; {self.gap_files} files of gaps" if self.gap_files else ""
        words += f"; {len(self.refused)} objects refused" if self.refused else ""
        words += f"; {len(self.problems)} objects cannot be used" if self.problems else ""
        return words + ("; stopped before the end" if self.stopped else "")
