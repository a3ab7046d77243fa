"""Writes and reads one Parquet file of a day table, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from pyarrow import parquet

from eagle_logger.core.table_columns import COLUMNS, ColumnType
from eagle_logger.disk.atomic_files import sync_file
from eagle_logger.tables.arrow_rows import schema

ROWS_PER_GROUP = 131_072
_ZSTD_LEVEL = 3
_PAGE_BYTES = 1 << 20
_DICTIONARIES = [
    f"{column.name}.list.element" if column.type is ColumnType.WORDS else column.name
    for column in COLUMNS
    if column.repeats
]
_DELTAS = {
    column.name: "DELTA_BINARY_PACKED" for column in COLUMNS if column.type is ColumnType.MOMENT
}
_METADATA_PREFIX = "eagle-logger."


class ParquetFileWriter:
    """Writes the new file `path`. Equal rows and metadata give equal bytes."""

    def __init__(self, path: Path, *, with_raw: bool) -> None:
        self._path = path
        self._schema = schema(with_raw=with_raw)
        self._writer = parquet.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=_DICTIONARIES,
            column_encoding=_DELTAS,
            data_page_size=_PAGE_BYTES,
            data_page_version="1.0",
            write_page_index=True,
            store_decimal_as_integer=True,
        )
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._rows_waiting += rows.num_rows
        while self._rows_waiting >= ROWS_PER_GROUP:
            self._write_group(ROWS_PER_GROUP)

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write what waits, and the footer. The file is durable then, but for its name."""
        if self._rows_waiting:
            self._write_group(self._rows_waiting)
        self._writer.add_key_value_metadata(
            {_METADATA_PREFIX + name: value for name, value in metadata.items()}
        )
        self._writer.close()
        sync_file(self._path)

    def _write_group(self, rows: int) -> None:
        table = pa.concat_tables(self._waiting)
        # Copied, so that the group's rows alone stay in memory while further ones wait.
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        rest = table.slice(rows)
        self._waiting = [rest] if rest.num_rows else []
        self._rows_waiting = rest.num_rows


class ParquetFileReader:
    """Reads a file row group by row group. Raises OSError or ArrowException (a ValueError) for
    bytes that are no Parquet file."""

    def __init__(self, path: Path) -> None:
        self._file = parquet.ParquetFile(path)

    @property
    def num_rows(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the writer put into the footer."""
        stored: Mapping[bytes, bytes] = self._file.metadata.metadata or {}
        return {
            name.decode().removeprefix(_METADATA_PREFIX): value.decode()
            for name, value in stored.items()
            if name.decode().startswith(_METADATA_PREFIX)
        }

    def row_groups(self) -> Iterator[pa.Table]:
        for number in range(self._file.num_row_groups):
            yield self._file.read_row_group(number, use_threads=False)

    def close(self) -> None:
        self._file.close()
