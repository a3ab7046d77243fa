"""The Parquet file of what is missing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from eagle_logger.core.gaps import GAP_MEMBERS, GapRow, Why
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.readings import Stream
from eagle_logger.tables import gap_file
from eagle_logger.tables.gap_file import write_gap_file
from tests.support.log_lines import CLOUD_ID, DEVICE, HOUR, METER

STREAM = Stream(DEVICE, METER, Kind.DEMAND)


def row(number: int) -> GapRow:
    hour = Hour(HOUR.start + 3600 * number)
    return GapRow(CLOUD_ID, hour, STREAM, 0, 450, 8.0, 3600, hour.start, Why.HOME_SILENT)


def test_rows_are_read_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    unrated = GapRow(CLOUD_ID, HOUR, STREAM, 2, None, None, 1800, HOUR.start + 7, None)
    assert write_gap_file(path, [row(0), unrated]) == 2
    first, second = parquet.read_table(path).to_pylist()
    assert list(first) == list(GAP_MEMBERS)
    assert (first["hour"].timestamp(), first["missing"], first["why"]) == (
        HOUR.start,
        450,
        "home_silent",
    )
    assert (second["expected"], second["rhythm"], second["why"]) == (None, None, None)
    assert second["gap_begin"].timestamp() == HOUR.start + 7
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rows_are_written_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_file, "ROWS_PER_GROUP", 2)
    path = tmp_path / "gaps.parquet"
    assert write_gap_file(path, map(row, range(5))) == 5
    assert parquet.ParquetFile(path).metadata.num_row_groups == 3
    [(missing,)] = duckdb.connect().execute(f"SELECT sum(missing) FROM '{path}'").fetchall()
    assert missing == 5 * 450


def test_a_file_stays_as_it_was_if_the_rows_break_off(tmp_path: Path) -> None:
    path = tmp_path / "gaps.parquet"
    write_gap_file(path, [row(0)])

    def breaking_off() -> Iterator[GapRow]:
        yield row(1)
        raise OSError("the archive is away")

    with pytest.raises(OSError, match="away"):
        write_gap_file(path, breaking_off())
    assert write_gap_file(tmp_path / "other.parquet", []) == 0
    [read] = parquet.read_table(path).to_pylist()
    assert read["hour"].timestamp() == HOUR.start
