"""Writes which readings are missing as one Parquet file, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from eagle_logger.core.gaps import GAP_MEMBERS, GapRow
from eagle_logger.disk.atomic_files import UNFINISHED, open_new, sync_file

ROWS_PER_GROUP = 131_072
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


def write_gap_file(path: Path, rows: Iterable[GapRow]) -> int:
    """Write the rows in the order in which they come, and return how many there are. A file of that
    name is replaced once the new one is whole. Raises OSError."""
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    left, count = iter(rows), 0
    with (
        os.fdopen(open_new(unfinished), "wb") as file,
        parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer,
    ):
        while group := [_members_of(row) for row in islice(left, ROWS_PER_GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))
            count += len(group)
    sync_file(unfinished)
    unfinished.replace(path)
    return count


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
