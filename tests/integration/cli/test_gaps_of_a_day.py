"""The day tables and the objects give the same answer to what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour, iso
from eagle_logger.core.table_names import Day
from tests.integration.cli.commands import Cli
from tests.support.log_lines import demand
from tests.support.rotating import Disk

DAY = Day("2026-03-10")
STEADY, GONE, NEW = "00ce69", "002738", "1e5123"


def hours(first: int, last: int) -> list[Hour]:
    """From so many hours after the begin of the day; before it, if negative."""
    return [Hour(DAY.start + 3600 * number) for number in range(first, last)]


def readings() -> Iterator[tuple[str, Hour, range]]:
    """A home with a hole, one that ends before the day begins, and one that begins in it."""
    for hour in hours(-2, 24):
        yield STEADY, hour, range(0, 3600 if hour != DAY.hours[5] else 600, 300)
    for hour in hours(-2, 0):
        yield GONE, hour, range(0, 3600, 300)
    for hour in hours(20, 24):
        yield NEW, hour, range(0, 3600, 300)


@pytest.fixture
def archived(tmp_path: Path, settings_of_test: None) -> DirectoryArchive:
    disk = Disk(tmp_path / "data" / "logs")
    archive = DirectoryArchive(tmp_path / "data" / "archive")
    disk.folder.root.mkdir(parents=True)
    disk.index(archive, DAY.start - 3 * 3600)
    for home, hour, offsets in readings():
        lines = (demand(offset, 1, cloud_id=home, hour=hour) for offset in offsets)
        disk.append(b"".join(lines), home, hour)
    disk.rotate(archive, DAY.end + 700)
    disk.index(archive, DAY.end + 700)
    return archive


def test_tables_and_objects_tell_the_same(
    cli: Cli, archived: DirectoryArchive, tmp_path: Path
) -> None:
    for date in ("2026-03-09", str(DAY)):
        cli("tables", "build", "--date", date)
    period = ("--since", iso(DAY.start), "--until", iso(DAY.end), "--all", "--json")
    by_objects = [
        line
        for home in (GONE, STEADY, NEW)
        for line in cli("gaps", home, *period).stdout.splitlines()
    ]
    by_tables = cli("gaps", "--date", str(DAY), "--all", "--json").stdout.splitlines()
    assert by_tables == by_objects
    rows = list(map(json.loads, by_tables))
    assert {(row["cloud_id"], row["why"]) for row in rows if row["why"]} == {
        (GONE, "home_silent"),
        (STEADY, "home_silent"),
    }
    path = tmp_path / "gaps.parquet"
    cli("gaps", "--date", str(DAY), "--parquet", str(path))
    assert parquet.read_metadata(path).num_rows == len(rows)
    assert list((tmp_path / "data" / "tables").iterdir()) == []


def test_a_day_without_tables_is_a_usage_error(cli: Cli, archived: DirectoryArchive) -> None:
    shown = cli("gaps", "--date", str(DAY), fails=SystemExit)
    assert shown.exit_code == 2
    assert "tables build" in shown.output
