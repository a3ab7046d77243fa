"""From log lines to rows of a day table, with every number exact.

pyarrow reads the lines. It refuses a number with more places than its column has, where others
round.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from eagle_logger.core.kinds import KINDS
from eagle_logger.core.line_format import VERSION
from eagle_logger.core.table_columns import (
    COLUMNS,
    DIGITS,
    NULL,
    PLACES,
    RAW,
    SEPARATOR,
    ColumnType,
)

_ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.MOMENT: pa.timestamp("ms", "UTC"),
    ColumnType.ENERGY: pa.decimal128(DIGITS, PLACES[ColumnType.ENERGY]),
    ColumnType.MONEY: pa.decimal128(DIGITS, PLACES[ColumnType.MONEY]),
    ColumnType.SMALL: pa.int16(),
    ColumnType.FLAG: pa.bool_(),
    ColumnType.WORDS: pa.list_(pa.string()),
}
_SCHEMA = pa.schema([pa.field(column.name, _ARROW_TYPES[column.type]) for column in COLUMNS])
_LINE_SCHEMA = pa.schema([pa.field("v", pa.int32()), *_SCHEMA])
_LIMITS = {
    column.name: Decimal(10) ** (DIGITS - PLACES[column.type])
    for column in COLUMNS
    if column.type in PLACES
}
"""What the numbers of a column must be below, without their sign."""
_NEVER_NULL = ("cloud_id", "device", "meter", "kind", "time", "arrived", "flags")
_KNOWN = frozenset({"v", RAW, *_SCHEMA.names})
_SORTED_BY = [(name, "ascending") for name in ("kind", "time", "device", "meter", "arrived")]
_RAW_IN_LINE = re.compile(rb',"raw":(\{.*\}),"flags":\[[^\[\]{}]*\]\}\Z')
_LONGEST_REASON = 300
_ROWS_HASHED_AT_ONCE = 16_384
"""Their texts are Python objects, of 200 bytes each."""
HASH_MODULUS = 1 << 128


class RowsRefused(Exception):
    """These lines cannot stand in a day table as they are. They stay in the archive's objects."""


def schema(*, with_raw: bool) -> pa.Schema:
    return _SCHEMA.append(pa.field(RAW, pa.string())) if with_raw else _SCHEMA


def rows_of(plain: bytes, cloud_id: str, *, with_raw: bool) -> pa.Table:
    """The lines of one object as rows, in their order. Raises RowsRefused, with the reason, unless
    the rows say exactly what the lines say."""
    if not plain:
        return schema(with_raw=with_raw).empty_table()
    try:
        lines = arrow_json.read_json(
            io.BytesIO(plain),
            # One block: a line that straddles two would be an error.
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(plain) + 1),
            # `infer` adds the members that the schema lacks, so that none is left out unseen.
            parse_options=arrow_json.ParseOptions(
                explicit_schema=_LINE_SCHEMA, unexpected_field_behavior="infer"
            ),
        )
    except pa.ArrowException as exc:
        raise RowsRefused(str(exc)[:_LONGEST_REASON]) from None
    _refuse_what_is_unknown(lines, cloud_id, plain.count(b"\n"))
    rows = lines.select(_SCHEMA.names)
    if with_raw:
        raw = pa.array([_raw_text(line) for line in plain.splitlines()], pa.string())
        rows = rows.append_column(pa.field(RAW, pa.string()), raw)
    return rows


def in_order(rows: pa.Table) -> pa.Table:
    """One home's rows, in the order in which a file has them."""
    return rows.sort_by(_SORTED_BY)


def moments_of(rows: pa.Table) -> tuple[int, int]:
    """The earliest and the latest time (Unix milliseconds) of at least one row."""
    ends = pc.min_max(rows["time"].cast(pa.int64()))
    return ends["min"].as_py(), ends["max"].as_py()


def hash_of(rows: pa.Table) -> int:
    """The sum of the SHA-256 of all rows' texts (`core.table_columns.row_text`), modulo 2^128. It
    does not depend on the order of the rows."""
    total = 0
    for batch in rows.to_batches(max_chunksize=_ROWS_HASHED_AT_ONCE):
        texts = [
            _texts_of(batch.column(column.name), column.type).cast(pa.string())
            for column in COLUMNS
        ]
        joined = pc.binary_join_element_wise(
            *texts, SEPARATOR, null_handling="replace", null_replacement=NULL
        )
        total += sum(map(hash_of_text, joined.cast(pa.binary()).to_pylist()))
    return total % HASH_MODULUS


def hash_of_text(text: bytes) -> int:
    return int.from_bytes(sha256(text).digest()[:16], "big")


def _texts_of(values: pa.Array, kind: ColumnType) -> pa.Array:
    match kind:
        case ColumnType.MOMENT:
            return values.cast(pa.int64())
        case ColumnType.ENERGY | ColumnType.MONEY:
            return _units_of(values)
        case ColumnType.WORDS:
            return pc.binary_join(values, ",")
        case _:
            return values


def _units_of(values: pa.Array) -> pa.Array:
    """Decimals as whole numbers of their smallest unit. With 18 digits they fit into 64 bits, which
    are the lower half of the 128 in which Arrow keeps them."""
    begin, count = values.offset, len(values)
    halves = pa.Array.from_buffers(pa.int64(), 2 * (begin + count), [None, values.buffers()[1]])
    units = halves.take(_even_numbers(begin, count))
    return pc.if_else(values.is_valid(), units, pa.scalar(None, pa.int64()))


@lru_cache(8)
def _even_numbers(begin: int, count: int) -> pa.Array:
    return pa.array(range(2 * begin, 2 * (begin + count), 2), pa.int64())


def _refuse_what_is_unknown(lines: pa.Table, cloud_id: str, expected_rows: int) -> None:
    if lines.num_rows != expected_rows:
        raise RowsRefused(f"{expected_rows} lines make {lines.num_rows} rows")
    if unknown := sorted(set(lines.column_names) - _KNOWN):
        raise RowsRefused(f"members that this version does not know: {', '.join(unknown)[:200]}")
    for name, known in (("v", {VERSION}), ("cloud_id", {cloud_id}), ("kind", set(KINDS))):
        for value in _distinct(lines, name):
            if value not in known:
                raise RowsRefused(f"{name} is {str(value)[:80]!r}")
    for name, limit in _LIMITS.items():
        # pyarrow refuses too many places, but lets too many digits through.
        ends = pc.min_max(lines[name]).as_py()
        for end in (ends["min"], ends["max"]):
            if end is not None and abs(end) >= limit:
                raise RowsRefused(f"{name} is {end}, which has more than {DIGITS} digits")
    for name in _NEVER_NULL:
        if lines[name].null_count:
            raise RowsRefused(f"a line without {name}")


def _distinct(lines: pa.Table, name: str) -> Iterator[Any]:
    yield from pc.unique(lines[name]).to_pylist()


def _raw_text(line: bytes) -> str:
    """The raw fields as they stand in the line."""
    match = _RAW_IN_LINE.search(line)
    if match is not None:
        return match[1].decode("utf-8", "backslashreplace")
    return json.dumps(json.loads(line).get(RAW, {}), ensure_ascii=False, separators=(",", ":"))
