"""The table of faults in `docs/explanation/promises.md`, between two marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "promises.md"
BEGINS, ENDS = "<!-- faults: written by `make faults` -->", "<!-- end of faults -->"
_HEAD = (
    "| fault | what was done | strikes | readings | lost | doubled | unreturnable "
    "| flow back after |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)
_NAMED = re.compile(r"\| (\d+) `(\S+)` \|")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one run. `back_after` is the longest time in seconds until the system worked
    again after a strike; None where nothing stopped."""

    name: str
    number: int
    what: str
    strikes: int
    readings: int
    lost: int
    doubled: int
    unreturnable: int
    back_after: float | None = None

    def __str__(self) -> str:
        back = "-" if self.back_after is None else f"{self.back_after:.1f} s"
        counts = (self.strikes, self.readings, self.lost, self.doubled, self.unreturnable)
        numbers = " | ".join(f"{count:,}".replace(",", " ") for count in counts)
        return f"| {self.number} `{self.name}` | {self.what} | {numbers} | {back} |"


NoteRow = Callable[[Row], None]
"""Adds the row of a run that passed to the table."""


def unharmed(number: int, name: str, what: str, strikes: int, readings: int) -> Row:
    """The row of a fault that lost, doubled and stopped nothing."""
    return Row(name, number, what, strikes, readings, 0, 0, 0)


def with_rows(page: str, rows: Iterable[Row], *, whole: bool) -> str:
    """The page with these rows in place of those of the same name. The other rows stay, unless
    `whole` says that these are the whole table."""
    before, mark, rest = page.partition(BEGINS)
    table, end, after = rest.partition(ENDS)
    if not mark or not end:
        raise ValueError(f"the page has no table between {BEGINS} and {ENDS}")
    former = [] if whole else table.splitlines()
    lines = {(int(row[1]), row[2]): line for line in former if (row := _NAMED.match(line))}
    lines |= {(row.number, row.name): str(row) for row in rows}
    kept = "".join(f"{lines[key]}\n" for key in sorted(lines))
    return f"{before}{BEGINS}\n{_HEAD}{kept}{ENDS}{after}"


def write(rows: Iterable[Row], *, whole: bool) -> None:
    PAGE.write_text(with_rows(PAGE.read_text(), rows, whole=whole))
