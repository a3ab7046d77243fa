"""Writes which readings are missing as one Parquet file, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from eagle_logger.core.gaps import GAP_MEMBERS, GapRow
from eagle_logger.disk.atomic_files import UNFINISHED, open_new, sync_file

ROWS_PER_GROUP = 131_072
_ROWS_AT_ONCE = 8192
"""Rows that are Python objects at the same time, of about 2 kB each."""
_MOMENT = pa.timestamp("ms", "UTC")
_TYPES = {
    "hour": _MOMENT,
    "had": pa.int32(),
    "expected": pa.int32(),
    "missing": pa.int32(),
    "rhythm": pa.float64(),
    "longest_gap": pa.int32(),
    "gap_begin": _MOMENT,
}
SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, pa.string())) for name in GAP_MEMBERS])
_PLACE_SCHEMA = pa.schema([*SCHEMA, pa.field("bucket", pa.int16()), pa.field("number", pa.int32())])


def write_gap_file(
    path: Path, rows: Iterable[GapRow], *, place: tuple[int, int] | None = None
) -> int:
    """Write the rows in the order in which they come, and return how many there are. With a
    `place`, each row also says the bucket and number of its file. A file of that name is replaced
    once the new one is whole. Raises OSError."""
    schema = SCHEMA if place is None else _PLACE_SCHEMA
    members = {} if place is None else {"bucket": place[0], "number": place[1]}
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    left, count = iter(rows), 0
    with (
        os.fdopen(open_new(unfinished), "wb") as file,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        while group := list(_tables_of(islice(left, ROWS_PER_GROUP), schema, members)):
            table = pa.concat_tables(group)
            writer.write_table(table)
            count += table.num_rows
    sync_file(unfinished)
    unfinished.replace(path)
    return count


def _tables_of(
    rows: Iterator[GapRow], schema: pa.Schema, members: dict[str, int]
) -> Iterator[pa.Table]:
    while some := [_members_of(row) | members for row in islice(rows, _ROWS_AT_ONCE)]:
        yield pa.Table.from_pylist(some, schema)


def _members_of(row: GapRow) -> dict[str, object]:
    return {
        "cloud_id": row.cloud_id,
        "hour": row.hour.start * 1000,
        "device": row.stream.device,
        "meter": row.stream.meter,
        "kind": str(row.stream.kind),
        "had": row.had,
        "expected": row.expected,
        "missing": row.missing,
        "rhythm": row.rhythm,
        "longest_gap": row.longest_gap,
        "gap_begin": row.gap_begin * 1000,
        "why": None if row.why is None else str(row.why),
    }
