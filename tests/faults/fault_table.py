"""The table of faults in `docs/explanation/promises.md`, between its two marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "promises.md"
BEGINS, ENDS = "<!-- faults: written by `make faults` -->", "<!-- end of faults -->"
_HEAD = (
    "| fault | what was done | strikes | readings | lost | doubled | unreturnable | flow back after |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)
_NAMED = re.compile(r"\| (\d+) `(\S+)` \|")


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one run. `back_after`: seconds, the longest after any strike; None where nothing
    had to come back."""

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


Noted = Callable[[Row], None]
"""Takes the row of a run that went well."""


def unharmed(number: int, name: str, what: str, strikes: int, readings: int) -> Row:
    """The row of a fault after which nothing was amiss, nor had to come back."""
    return Row(name, number, what, strikes, readings, 0, 0, 0)


def with_rows(page: str, rows: Iterable[Row], *, whole: bool) -> str:
    """The page with these rows in place of those of the same name; the others stay, unless these
    are the whole table."""
    before, mark, rest = page.partition(BEGINS)
    table, end, after = rest.partition(ENDS)
    if not mark or not end:
        raise ValueError(f"the page has no table between {BEGINS} and {ENDS}")
    former = [] if whole else table.splitlines()
    lines = {(int(found[1]), found[2]): line for line in former if (found := _NAMED.match(line))}
    lines |= {(row.number, row.name): str(row) for row in rows}
    kept = "".join(f"{lines[key]}\n" for key in sorted(lines))
    return f"{before}{BEGINS}\n{_HEAD}{kept}{ENDS}{after}"


def write(rows: Iterable[Row], *, whole: bool) -> None:
    PAGE.write_text(with_rows(PAGE.read_text(), rows, whole=whole))
