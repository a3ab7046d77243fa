"""The table of what is missing, beside the day tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.cli.gaps import gap_members
from eagle_logger.core.gap_files import GapFile, gap_files_prefix
from eagle_logger.core.hours import Hour
from eagle_logger.core.table_names import Day, bucket_of
from eagle_logger.errors import DiskUnavailable
from eagle_logger.tables.day_tables import DayTables
from eagle_logger.tables.gap_tables import GapTables
from eagle_logger.tables.input_reader import InputReader
from tests.integration.tables.test_roll_up import build, tables_of
from tests.support.day_of_homes import DAY, hour_of_home, put_day, put_index, put_part
from tests.support.pages import Page

DAY_BEFORE = Day.of(DAY.start - 1)
HOMES = ("00ce69", "002738", "1e5123")
LATE = "aaaaaa"


@pytest.fixture
def archive(tmp_path: Path) -> DirectoryArchive:
    return DirectoryArchive(tmp_path / "archive")


def put_late(archive: Archive, hour: Hour = DAY.hours[0]) -> None:
    entry = put_part(archive, LATE, hour, hour_of_home(LATE, hour, 300))
    put_index(archive, hour, [entry], number=1)


def of_page() -> tuple[str, str]:
    """The view, and a query that uses it."""
    with Page("docs/reference/day-tables.md", "sql") as page:
        return page.next("CREATE VIEW gaps"), page.next("SELECT")


def rows_by_the_page(
    archive: DirectoryArchive, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """What the documented view shows, in the form of `gaps --json`."""
    root = Path(archive.url.removeprefix("file://"))
    monkeypatch.chdir(root.parent)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        view, query = of_page()
        connection.execute(view.replace("data/archive", root.name))
        connection.execute(query)
        columns = "* EXCLUDE (date, bucket, number)"
        shown = connection.execute(
            f"SELECT {columns} FROM gaps WHERE date = '{DAY}' "
            "ORDER BY cloud_id, hour, device, meter, kind"
        )
        names = [column[0] for column in shown.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in shown.fetchall()]
    for row in rows:
        for name in ("hour", "gap_begin"):
            row[name] = row[name].strftime("%Y-%m-%dT%H:%M:%SZ")
    return rows


def rows_by_the_command(archive: Archive, tmp_path: Path) -> list[dict[str, Any]]:
    rows = map(gap_members, tables_of(archive, tmp_path).gaps(DAY))
    return sorted(
        rows,
        key=lambda row: (row["cloud_id"], row["hour"], row["device"], row["meter"], row["kind"]),
    )


def gap_files(archive: Archive) -> list[str]:
    return [key.rpartition("/")[2] for key in archive.keys(gap_files_prefix(DAY))]


def test_the_view_says_what_the_command_says_also_after_late_readings(
    archive: DirectoryArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_day(archive, HOMES, every=300, hours=20)
    assert build(archive, tmp_path).endswith("1 files of gaps")
    assert rows_by_the_page(archive, monkeypatch) == rows_by_the_command(archive, tmp_path)
    put_late(archive)
    assert build(archive, tmp_path).endswith("1 files of gaps")
    assert gap_files(archive) == ["00-0.parquet", "00-1.parquet"]
    shown = rows_by_the_page(archive, monkeypatch)
    assert shown == rows_by_the_command(archive, tmp_path)
    assert {row["cloud_id"] for row in shown} == {*HOMES, LATE}
    late_hour = [row for row in shown if row["hour"] == "2026-03-10T22:00:00Z"]
    assert {row["why"] for row in late_hour if row["kind"] == "demand"} == {"unknown"}
    assert build(archive, tmp_path) == ""
    assert tables_of(archive, tmp_path).verify(DAY).is_well


def test_a_day_with_buckets_follows_one_without(
    archive: DirectoryArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day before lends each bucket its own homes' rhythm, and only those."""
    gone = "0000b1"
    put_day(archive, (*HOMES, gone), DAY_BEFORE, every=300)
    put_day(archive, HOMES, every=300)
    tables = tables_of(archive, tmp_path)
    tables.build(DAY_BEFORE, 0)
    archive.put(DAY.buckets_key, json.dumps({"v": 1, "buckets": 4}).encode(), {})
    build(archive, tmp_path)
    assert len({bucket_of(home, 4) for home in (*HOMES, gone)}) > 1
    assert gap_files(archive) == [f"0{bucket}-0.parquet" for bucket in range(4)]
    shown = rows_by_the_page(archive, monkeypatch)
    assert shown == rows_by_the_command(archive, tmp_path)
    gaps_of_gone = {row["why"] for row in shown if row["cloud_id"] == gone and row["why"]}
    assert gaps_of_gone == {"home_silent"}


def test_the_day_befores_tables_make_a_further_file_if_they_come_later(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, HOMES[:1], every=300)
    build(archive, tmp_path)
    put_day(archive, HOMES, DAY_BEFORE, every=300)
    tables = tables_of(archive, tmp_path)
    tables.build(DAY_BEFORE, 0)
    assert tables.buckets(DAY) == [0]
    build(archive, tmp_path)
    assert gap_files(archive) == ["00-0.parquet", "00-1.parquet"]
    assert {row.cloud_id for row in tables.gaps(DAY)} == set(HOMES)


def test_a_day_that_is_not_over_has_no_file_of_gaps(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=2)
    tables = tables_of(archive, tmp_path)
    assert tables.build(DAY, 0, DAY.end - 1).gap_files == 0
    assert tables.buckets(DAY, DAY.end - 1) == []
    assert tables.buckets(DAY, DAY.end) == [0]
    assert tables.build(DAY, 0, DAY.end).gap_files == 1


def test_a_file_that_was_left_unproved_is_proved_or_passed_by(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=2)
    build(archive, tmp_path)
    manifest = GapFile(DAY, 0, 0).manifest_key
    archive.delete(manifest)
    assert not tables_of(archive, tmp_path).verify(DAY).is_well
    assert build(archive, tmp_path).endswith("1 files of gaps")
    assert gap_files(archive) == ["00-0.parquet"]
    archive.delete(manifest)
    put_late(archive)
    build(archive, tmp_path)
    assert gap_files(archive) == ["00-0.parquet", "00-1.parquet"]
    assert archive.head(manifest) is None
    assert tables_of(archive, tmp_path).verify(DAY).is_well
    assert tables_of(archive, tmp_path).buckets(DAY) == []


def test_a_damaged_manifest_holds_nothing_up(archive: DirectoryArchive, tmp_path: Path) -> None:
    put_day(archive, hours=1)
    build(archive, tmp_path)
    manifest = GapFile(DAY, 0, 0).manifest_key
    archive.delete(manifest)
    archive.put(manifest, b"{}", {})
    assert build(archive, tmp_path).endswith("1 files of gaps")
    assert gap_files(archive) == ["00-0.parquet", "00-1.parquet"]
    assert tables_of(archive, tmp_path).buckets(DAY) == []
    [wrong] = tables_of(archive, tmp_path).verify(DAY).wrong
    assert manifest in wrong


def test_a_day_without_an_index_has_no_gaps(archive: DirectoryArchive, tmp_path: Path) -> None:
    assert tables_of(archive, tmp_path).buckets(DAY) == []
    assert tables_of(archive, tmp_path).build(DAY, 0).gap_files == 0


def test_a_number_that_another_roller_took_is_left_to_it(
    archive: DirectoryArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one roller writes its file, more comes, and another roller is faster."""
    put_day(archive, hours=2)
    tables_of(archive, tmp_path).build(DAY, 0, DAY.start)
    (tmp_path / "own").mkdir()
    was_overtaken = False

    def overtaken(archive: Any, *words: Any, **options: Any) -> Any:
        nonlocal was_overtaken
        if not was_overtaken:
            was_overtaken = True
            put_late(archive)
            build(archive, tmp_path)
        return gaps_of_bucket(archive, *words, **options)

    from eagle_logger.tables import gap_tables
    from eagle_logger.tables.day_gaps import gaps_of_bucket

    monkeypatch.setattr(gap_tables, "gaps_of_bucket", overtaken)
    made = GapTables(archive, DAY).make(0, tmp_path / "own", "test", lambda: False)
    assert (was_overtaken, made) == (True, None)
    assert gap_files(archive) == ["00-0.parquet"]
    assert tables_of(archive, tmp_path).buckets(DAY) == []


def test_verify_names_a_file_of_gaps_that_was_changed(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=1)
    build(archive, tmp_path)
    key = GapFile(DAY, 0, 0).key
    path = tmp_path / "archive" / key
    body = bytearray(path.read_bytes())
    body[20] ^= 1
    path.chmod(0o600)
    path.write_bytes(body)
    assert [wrong.startswith(key) for wrong in tables_of(archive, tmp_path).verify(DAY).wrong] == [
        True
    ]


def test_list_and_remove_know_the_files(archive: DirectoryArchive, tmp_path: Path) -> None:
    put_day(archive, hours=1)
    build(archive, tmp_path)
    tables = tables_of(archive, tmp_path)
    assert [built.gap_files for built in tables.built()] == [1]
    tables.remove(DAY)
    assert list(archive.keys("parquet/")) == []


def test_a_roller_that_is_asked_to_stop_leaves_the_gaps_to_the_next(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=1)
    tables = tables_of(archive, tmp_path)
    tables.build(DAY, 0, DAY.start)
    result = tables.build(DAY, 0, stopping=lambda: True)
    assert (result.stopped, result.gap_files, gap_files(archive)) == (True, 0, [])
    assert list((tmp_path / "work").iterdir()) == []


def test_gaps_get_a_call_of_their_own_if_files_took_long(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=1)
    tables = tables_of(archive, tmp_path)
    results = [tables.build(DAY, 0, read_for=0.0)]
    while results[-1].stopped:
        results.append(tables.build(DAY, 0, read_for=0.0))
    assert sum(result.files for result in results) == len(results) - 1 > 1
    assert [result.gap_files for result in results] == [0] * (len(results) - 1) + [1]


def test_nothing_is_made_where_the_log_files_need_the_room(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive, hours=1)
    full = DayTables(archive, InputReader(archive), tmp_path / "work", "test", kept_free=1 << 60)
    with pytest.raises(DiskUnavailable, match="EAGLE_MIN_FREE_DISK"):
        full.build(DAY, 0)
    assert list(archive.keys(DAY.manifests_prefix)) == [DAY.buckets_key]
    tables_of(archive, tmp_path).build(DAY, 0, DAY.start)
    with pytest.raises(DiskUnavailable, match="EAGLE_MIN_FREE_DISK"):
        full.build(DAY, 0)
    assert gap_files(archive) == []
    assert list((tmp_path / "work").iterdir()) == []
