"""Measurements as tables in Markdown, which read well in a terminal too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Row, times

_HEADINGS = (
    *("contender", "fetches/s", "CPU µs/fetch", "cores", "PSS sum MB", "processes"),
    *("relay µs/fetch", "Redis µs/fetch", "others' share", "CPU ÷ ours"),
)
_OURS = (
    ("late_p50", "lateness p50, s"),
    ("late_p99", "p99, s"),
    ("late_max", "max, s"),
    ("missed_turns", "missed turns"),
    ("homes_on_time", "homes on time"),
    ("failed_fetches", "failed"),
    ("messages_per_second", "messages/s"),
    ("users_per_message", "users/message"),
    ("commits_per_second", "commits/s"),
    ("bytes_per_second", "bytes logged/s"),
    ("measured_s", "measured, s"),
    ("archived", "user-hours archived"),
    ("archived_per_second", "archived/s"),
    ("redis_bytes_per_user", "Redis B/user"),
    ("in_step", "in step"),
    ("requests_per_reading", "requests/reading"),
    ("reading_age", "age, s"),
)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A padded table: text to the left, everything else to the right, None as a dash."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [
        max(len(line[column]) for line in [list(headings), *cells])
        for column in range(len(headings))
    ]
    numeric = [
        all(not isinstance(row[column], str) for row in rows) for column in range(len(headings))
    ]
    lines = [
        _line(headings, widths, numeric),
        _ruler(widths, numeric),
        *(_line(row, widths, numeric) for row in cells),
    ]
    return "\n".join(lines)


def contenders(rows: Sequence[Row], yardstick: Row | None) -> str:
    """All contenders. The last column is each one's CPU for a fetch, divided by the yardstick's."""
    return table(_HEADINGS, [_contender(row, yardstick) for row in rows])


def ours(rows: Sequence[Row]) -> str:
    """The figures that only ours has: lateness, turns, messages."""
    return table(
        ["ours", *(title for _, title in _OURS), "CPU µs/reading"],
        [
            [row.name, *(row.more.get(key) for key, _ in _OURS), _cpu_per_reading(row)]
            for row in rows
        ],
    )


def chores(found: Sequence[Mapping[str, object]]) -> str:
    return table(
        ["chore", "seconds", "CPU s", "per second", "note"],
        [
            [
                str(one["name"]),
                one.get("seconds"),
                one.get("cpu"),
                one.get("per_second"),
                str(one.get("note", "")),
            ]
            for one in found
        ],
    )


def _contender(row: Row, yardstick: Row | None) -> list[object]:
    measured = row.as_json()
    return [
        row.name,
        measured["fetches_per_second"],
        measured["cpu_us_per_fetch"],
        row.cores,
        round(sum(row.memory.values()) / 1e6),
        len(row.memory),
        measured["relay_cpu_us_per_fetch"],
        measured["redis_cpu_us_per_fetch"],
        f"{row.others:.0%}",
        times(yardstick, row),
    ]


def _shown(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _ruler(widths: Sequence[int], numeric: Sequence[bool]) -> str:
    columns = zip(widths, numeric, strict=True)
    dashes = ("-" * (width + 1) + (":" if right else "-") for width, right in columns)
    return f"|{'|'.join(dashes)}|"


def _cpu_per_reading(row: Row) -> int | None:
    readings = row.more.get("readings_logged")
    return round(row.cpu / readings * 1e6) if readings else None
