"""The columns of a day table. docs/reference/day-tables.md describes the files for their readers.

A column has the name of the member of a log line that it holds, so a table and the lines say the
same in the same words. Numbers keep their decimals: a number with more places than its column is
refused, never rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from eagle_logger.core.kinds import KINDS, Kind


class ColumnType(Enum):
    TEXT = "string"
    MOMENT = "timestamp[ms, UTC]"
    ENERGY = "decimal(18, 6)"
    MONEY = "decimal(18, 9)"
    SMALL = "int16"
    FLAG = "bool"
    WORDS = "list<string>"


PLACES = {ColumnType.ENERGY: 6, ColumnType.MONEY: 9}
"""Decimal places of the columns that hold numbers of a meter."""
DIGITS = 18


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: ColumnType
    kinds: tuple[Kind, ...] = ()
    """The kinds of readings that have it. Empty: all. It is null in rows of other kinds."""

    @property
    def repeats(self) -> bool:
        """Whether so few values occur that a dictionary of them is worth it. Demand is measured in
        watts, so it repeats among the homes of a row group; registers never do."""
        is_text = self.type in {ColumnType.TEXT, ColumnType.WORDS} and self.kinds != _MESSAGE
        return is_text or self.kinds == _DEMAND


_DEMAND, _SUMMATION, _PRICE, _MESSAGE = (
    (kind,) for kind in (Kind.DEMAND, Kind.SUMMATION, Kind.PRICE, Kind.MESSAGE)
)
_OF_EVERY_LINE = ("cloud_id", "device", "meter", "kind")

_FIRST_COLUMNS = (
    *(Column(name, ColumnType.TEXT) for name in _OF_EVERY_LINE),
    Column("time", ColumnType.MOMENT),
    Column("arrived", ColumnType.MOMENT),
    Column("value", ColumnType.ENERGY, _DEMAND),
    Column("delivered", ColumnType.ENERGY, _SUMMATION),
    Column("received", ColumnType.ENERGY, _SUMMATION),
    Column("price", ColumnType.MONEY, _PRICE),
    Column("unit", ColumnType.TEXT, _DEMAND + _SUMMATION + _PRICE),
    Column("currency", ColumnType.TEXT, _PRICE),
    Column("tier", ColumnType.SMALL, _PRICE),
    Column("label", ColumnType.TEXT, _PRICE),
    Column("id", ColumnType.TEXT, _MESSAGE),
    Column("text", ColumnType.TEXT, _MESSAGE),
    Column("priority", ColumnType.TEXT, _MESSAGE),
    Column("confirmation_required", ColumnType.FLAG, _MESSAGE),
    Column("confirmed", ColumnType.FLAG, _MESSAGE),
    Column("read", ColumnType.FLAG, _MESSAGE),
    Column("queue", ColumnType.TEXT, _MESSAGE),
    Column("flags", ColumnType.WORDS),
)


def _columns_of_newer_kinds(known: AbstractSet[str]) -> Iterator[Column]:
    """The numbers and texts of kinds that were added since. They come last, so that the order of
    the columns in older files stays."""
    for spec in KINDS.values():
        for names, kind in ((spec.numbers, ColumnType.ENERGY), (spec.texts, ColumnType.TEXT)):
            yield from (Column(name, kind, (spec.kind,)) for name in names if name not in known)


COLUMNS: tuple[Column, ...] = (
    *_FIRST_COLUMNS,
    *_columns_of_newer_kinds({column.name for column in _FIRST_COLUMNS}),
)
RAW = "raw"
"""An optional last column: the raw fields as a string of JSON, as they stand in the line."""

NULL = "\0"
"""Stands in a row's text where a row has no value."""
SEPARATOR = "\x1f"


def row_text(line: Mapping[str, Any]) -> str:
    """All that a row says, as one text; two rows are equal exactly when their texts are.

    `line` is a log line that was parsed with Decimals for numbers. Numbers stand as whole numbers
    of their column's smallest unit, moments as milliseconds. Raises ValueError for a number that
    its column cannot hold.
    """
    return SEPARATOR.join([_text_of(column.type, line.get(column.name)) for column in COLUMNS])


def _text_of(kind: ColumnType, value: Any) -> str:
    if value is None:
        return NULL
    match kind:
        case ColumnType.TEXT:
            return str(value)
        case ColumnType.MOMENT:
            return str(round(datetime.fromisoformat(value).timestamp() * 1000))
        case ColumnType.ENERGY | ColumnType.MONEY:
            return str(_units(value, PLACES[kind]))
        case ColumnType.SMALL:
            return str(int(value))
        case ColumnType.FLAG:
            return "true" if value else "false"
        case ColumnType.WORDS:
            return ",".join(value)


def _units(value: Decimal, places: int) -> int:
    units = value.scaleb(places)
    if units != units.to_integral_value() or abs(units) >= Decimal(10) ** DIGITS:
        raise ValueError(f"{value} has more than {places} decimal places, or too many digits")
    return int(units)
