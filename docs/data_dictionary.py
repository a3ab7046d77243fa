"""The data dictionary: every member of a log line and column of a table, with its type, its unit,
its meaning, and when it is null. Made from the code that writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eagle_logger.core.energy import ENERGY_FLAG_MEANS, ENERGY_MEMBERS
from eagle_logger.core.gaps import GAP_MEMBERS, WHY_MEANS
from eagle_logger.core.kinds import KINDS, MEMBERS_OF_ALL, Member
from eagle_logger.core.readings import FLAG_MEANS
from eagle_logger.core.table_columns import COLUMNS, RAW, ColumnType

_INTRODUCTION = """\
# Data dictionary

What each member of a [log line](log-lines.md) and each column of a [day table](day-tables.md)
says. Both have the same names and the same values. The first section holds for all kinds of
readings, each further one for one kind. A member of another kind is absent from a line, and null
in a table.

A number in a line is an exact decimal; `tier` and `v` are integers.
"""
_FLAGS = """\
## Flags

A flag never changes or removes a value.
"""
_HOW_TO = "../how-to/energy-and-gaps.md"
_GAPS = f"""\
## Gaps

A row of `eagle-logger gaps` says what one meter has of one hour and one kind.
[How to read it]({_HOW_TO}).
"""
_ENERGY = f"""\
## Energy

A row of `eagle-logger energy` says what one meter counted in one hour or day.
[How to read it]({_HOW_TO}).
"""
_TYPES_IN_LINES = {
    ColumnType.TEXT: "text",
    ColumnType.MOMENT: "text, ISO 8601",
    ColumnType.ENERGY: "number",
    ColumnType.MONEY: "number",
    ColumnType.SMALL: "integer",
    ColumnType.FLAG: "true, false",
    ColumnType.WORDS: "list of texts",
}
_COLUMN_TYPES = {column.name: column.type for column in COLUMNS}
_NOT_IN_TABLES = {"v": ("integer", "not in tables"), RAW: ("object of texts", "string of JSON")}


def render() -> str:
    kinds = [(spec.kind.capitalize(), spec.members) for spec in KINDS.values()]
    parts = [
        _INTRODUCTION,
        *(
            f"## {title}\n\n{_members(members)}\n"
            for title, members in [("Every line", MEMBERS_OF_ALL), *kinds]
        ),
        _FLAGS,
        _meanings("flag", FLAG_MEANS),
        _GAPS,
        _meanings("member", GAP_MEMBERS),
        _meanings("why", WHY_MEANS),
        _ENERGY,
        _meanings("member", ENERGY_MEMBERS),
        _meanings("flag", ENERGY_FLAG_MEANS),
    ]
    return "\n".join(parts)


def _members(members: Iterable[Member]) -> str:
    return "\n".join(
        [
            "| name | in a line | in a table | unit | null when | meaning |",
            "| --- | --- | --- | --- | --- | --- |",
            *map(_row, members),
        ]
    )


def _row(member: Member) -> str:
    in_line, in_table = _NOT_IN_TABLES.get(member.name) or _types(member.name)
    null = member.null or "never"
    return (
        f"| `{member.name}` | {in_line} | {in_table} | {member.unit} | {null} | {member.meaning} |"
    )


def _types(name: str) -> tuple[str, str]:
    column = _COLUMN_TYPES[name]
    return _TYPES_IN_LINES[column], column.value


def _meanings(heading: str, meanings: Mapping[Any, str]) -> str:
    rows = (f"| `{name}` | {meaning} |\n" for name, meaning in meanings.items())
    return f"| {heading} | meaning |\n| --- | --- |\n{''.join(rows)}"
