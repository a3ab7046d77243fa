"""A day of the archive becomes Parquet files that say exactly what its objects say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.memory import MemoryArchive
from eagle_logger.core.hours import SECONDS_PER_HOUR, Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.paths import archive_key, parse_archive_key
from eagle_logger.core.sealing import gunzipped
from eagle_logger.core.table_names import Day, TableFile
from eagle_logger.errors import ArchiveUnavailable, TableDamaged
from eagle_logger.logs.folder import LogFolder
from eagle_logger.tables import roll_up
from eagle_logger.tables.day_tables import DayTables
from eagle_logger.tables.input_reader import InputReader
from eagle_logger.tables.parquet_file import ParquetFileReader
from tests.support.day_of_homes import (
    DAY,
    NODE,
    hour_of_home,
    line,
    put_day,
    put_index,
    put_part,
)
from tests.support.log_lines import lines as any_lines
from tests.support.rotating import Watched

FIRST_HOUR = DAY.hours[0]
SOON_AFTER = DAY.end + 600.0
LONG_AFTER = DAY.end + 3 * 3600.0
NUMBERS = ("value", "delivered", "received", "price")


@pytest.fixture
def archive(tmp_path: Path) -> DirectoryArchive:
    return DirectoryArchive(tmp_path / "archive")


def tables_of(archive: Archive, tmp_path: Path, folder: LogFolder | None = None) -> DayTables:
    return DayTables(archive, InputReader(archive, folder, 16), tmp_path / "work", "test")


def build(archive: Archive, tmp_path: Path, **options: Any) -> str:
    """Build all buckets of the day, and return what was said of it."""
    tables = tables_of(archive, tmp_path)
    return "; ".join(str(tables.build(DAY, bucket, **options)) for bucket in tables.buckets(DAY))


def lines_in(archive: Archive, day: Day = DAY) -> list[dict[str, Any]]:
    lines = []
    for key in archive.keys("cloud_id="):
        named = parse_archive_key(key)
        assert named is not None
        if named[1].date == day.date:
            plain = gunzipped(archive.get(key))
            lines += [
                json.loads(text, parse_float=Decimal, parse_int=Decimal)
                for text in plain.splitlines()
            ]
    return lines


def rows_in(archive: Archive, tmp_path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, key in enumerate(archive.keys(DAY.files_prefix)):
        path = tmp_path / f"read-{number}.parquet"
        path.unlink(missing_ok=True)
        archive.get_file(key, path, 1 << 30)
        rows += parquet.read_table(path).to_pylist()
    return rows


def readings(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Identity and numbers of rows or of lines, whatever their order."""
    return Counter(
        (
            row["cloud_id"],
            row["kind"],
            row["time"] if isinstance(row["time"], str) else row["time"].isoformat()[:19] + "Z",
            *(row.get(name) for name in NUMBERS),
            row.get("text"),
            row.get("tier"),
            tuple(row["flags"]),
        )
        for row in rows
    )


def assert_says_the_same(archive: Archive, tmp_path: Path) -> None:
    """That the tables hold each archived reading once, by a comparison of the test's own, and that
    `tables verify` agrees."""
    assert readings(rows_in(archive, tmp_path)) == readings(lines_in(archive))
    verdict = tables_of(archive, tmp_path).verify(DAY)
    assert verdict.is_well, verdict.wrong
    assert verdict.rows == verdict.lines == len(lines_in(archive))
    assert verdict.not_in_tables == []


def test_a_day_becomes_a_file_that_says_the_same(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    assert build(archive, tmp_path).startswith("1 files, 648 rows")
    assert_says_the_same(archive, tmp_path)
    assert [key.rpartition("/")[2] for key in archive.keys(DAY.files_prefix)] == ["00-0.parquet"]
    assert build(archive, tmp_path) == ""


def test_duckdb_sums_the_same_decimals(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    build(archive, tmp_path)
    pattern = tmp_path / "archive/parquet/v=1/date=*/*.parquet"
    columns = ", ".join(f"sum({name})" for name in NUMBERS)
    with duckdb.connect() as connection:
        count, *sums = connection.execute(
            f"SELECT count(*), {columns} FROM read_parquet('{pattern}', hive_partitioning = true) "
            f"WHERE date = '{DAY}'"
        ).fetchall()[0]
    lines = lines_in(archive)
    assert count == len(lines)
    assert [*sums] == [
        sum(row[name] for row in lines if row.get(name) is not None) for name in NUMBERS
    ]


def test_the_file_has_the_layout_that_readers_are_fast_with(
    archive: Archive, tmp_path: Path
) -> None:
    put_day(archive)
    build(archive, tmp_path)
    (key,) = archive.keys(DAY.files_prefix)
    file = parquet.ParquetFile(tmp_path / "archive" / key)
    group = file.metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert "DELTA_BINARY_PACKED" in columns["time"].encodings
    assert "RLE_DICTIONARY" in columns["cloud_id"].encodings
    assert columns["value"].has_column_index
    assert str(file.schema_arrow.field("value").type) == "decimal128(18, 6)"
    rows = file.read().to_pylist()
    order = [(row["cloud_id"], row["kind"], row["time"]) for row in rows]
    assert order == sorted(order)
    footer = ParquetFileReader(tmp_path / "archive" / key).metadata
    assert footer["rows"] == "648"
    assert footer["schema-version"] == "1"


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    bodies = []
    for name in ("one", "two"):
        archive = DirectoryArchive(tmp_path / name)
        put_day(archive)
        build(archive, tmp_path)
        bodies.append(archive.get(TableFile(DAY, 0, 0).key))
    assert bodies[0] == bodies[1]


def test_raw_fields_stand_as_json_if_they_are_asked_for(archive: Archive, tmp_path: Path) -> None:
    put_day(archive, every=1800)
    build(archive, tmp_path, with_raw=True)
    raws = Counter(row["raw"] for row in rows_in(archive, tmp_path))
    assert raws == Counter(
        json.dumps(row["raw"], separators=(",", ":")) for row in lines_in(archive)
    )
    assert_says_the_same(archive, tmp_path)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(any_lines(), min_size=1, max_size=30))
def test_any_lines_come_through_or_are_refused_whole(tmp_path: Path, texts: list[bytes]) -> None:
    archive = MemoryArchive()
    hour = Hour.parse("2026-03-10-17")
    plain = b"".join(text + b"\n" for text in texts)
    put_index(archive, hour, [put_part(archive, "002738", hour, plain)])
    tables = tables_of(archive, tmp_path)
    tables.build(DAY, 0)
    verdict = tables.verify(DAY)
    assert verdict.is_well, verdict.wrong
    rows = readings(rows_in(archive, tmp_path))
    assert rows == (Counter() if verdict.refused else readings(lines_in(archive)))


def test_what_comes_late_becomes_a_further_file(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    build(archive, tmp_path)
    first = archive.get(TableFile(DAY, 0, 0).key)
    late = hour_of_home("aaaaaa", FIRST_HOUR)
    put_index(archive, FIRST_HOUR, [put_part(archive, "aaaaaa", FIRST_HOUR, late)], number=1)
    assert build(archive, tmp_path).startswith("1 files, 9 rows")
    assert archive.get(TableFile(DAY, 0, 0).key) == first
    assert archive.head(TableFile(DAY, 0, 1).manifest_key)
    assert_says_the_same(archive, tmp_path)


def test_an_object_that_two_nodes_name_is_taken_once(archive: Archive, tmp_path: Path) -> None:
    entry = put_part(archive, "00ce69", FIRST_HOUR, hour_of_home("00ce69", FIRST_HOUR))
    put_index(archive, FIRST_HOUR, [entry])
    build(archive, tmp_path)
    put_index(archive, FIRST_HOUR, [entry], node="rebuilt")
    assert build(archive, tmp_path).startswith("0 files, 0 rows, 0 bytes")
    assert_says_the_same(archive, tmp_path)


def test_a_day_of_no_readings_gets_no_file(archive: Archive, tmp_path: Path) -> None:
    for hour in DAY.hours:
        put_index(archive, hour, [])
    tables = tables_of(archive, tmp_path)
    assert tables.work(SOON_AFTER, [NODE]) == [(DAY, 0)]
    assert build(archive, tmp_path) == "0 files, 0 rows, 0 bytes"
    assert list(archive.keys(DAY.files_prefix)) == []
    assert tables.verify(DAY).is_well


def test_readings_that_lie_in_another_days_objects_stay_with_that_day(
    archive: Archive, tmp_path: Path
) -> None:
    """A gateway whose clock is wrong: its readings are filed by arrival."""
    stray = line("00ce69", FIRST_HOUR.start - 7 * SECONDS_PER_HOUR, value=Decimal(1), unit="kW")
    entry = put_part(archive, "00ce69", FIRST_HOUR, stray)
    put_index(archive, FIRST_HOUR, [entry])
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)
    assert [row["time"].date().isoformat() for row in rows_in(archive, tmp_path)] == ["2026-03-09"]
    (built,) = tables_of(archive, tmp_path).built(DAY)
    assert built.manifests[0].head["first"] < DAY.start * 1000


REFUSED = {
    "more decimal places than the column": line(
        "00ce69", FIRST_HOUR.start, value=Decimal("0.1234567"), unit="kW"
    ),
    "too many digits": line(
        "00ce69", FIRST_HOUR.start, value=Decimal("1234567890123.5"), unit="kW"
    ),
    "a newer schema": line("00ce69", FIRST_HOUR.start, value=Decimal(1), unit="kW").replace(
        b'"v":1', b'"v":2'
    ),
    "an unknown kind": line("00ce69", FIRST_HOUR.start, value=Decimal(1), unit="A").replace(
        b'"kind":"demand"', b'"kind":"current"'
    ),
    "an unknown member": line(
        "00ce69", FIRST_HOUR.start, value=Decimal(1), unit="kW", phase=Decimal(2)
    ),
    "a member of another type": line(
        "00ce69", FIRST_HOUR.start, Kind.MESSAGE, id=Decimal(7), text="Save"
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_an_object_that_no_row_can_hold_exactly_is_refused_and_said(
    archive: Archive, tmp_path: Path, what: str
) -> None:
    good = hour_of_home("002738", FIRST_HOUR)
    entries = [
        put_part(archive, "00ce69", FIRST_HOUR, REFUSED[what]),
        put_part(archive, "002738", FIRST_HOUR, good),
    ]
    put_index(archive, FIRST_HOUR, entries)
    result = tables_of(archive, tmp_path).build(DAY, 0)
    key = archive_key("00ce69", FIRST_HOUR)
    assert set(result.refused) == {key}
    assert result.rows == good.count(b"\n")
    manifest = json.loads(archive.get(TableFile(DAY, 0, 0).manifest_key))
    assert manifest["refused"] == result.refused
    verdict = tables_of(archive, tmp_path).verify(DAY)
    assert verdict.is_well
    assert set(verdict.refused) == {key}
    assert build(archive, tmp_path) == "", "it would be refused again each hour"


def _overwrite(archive: DirectoryArchive, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "archive" / archive_key("00ce69", FIRST_HOUR)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


DAMAGE = {
    "missing": None,
    "no gzip": b"\x1f\x8bnothing",
    "cut short": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
    "an error page": b"<html>",
    "plain text of other lines": b'{"v":1}\n',
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_object_keeps_nobody_out_and_is_tried_again(
    archive: DirectoryArchive, tmp_path: Path, what: str
) -> None:
    put_day(archive)
    key = archive_key("00ce69", FIRST_HOUR)
    whole = archive.get(key)
    _overwrite(archive, tmp_path, DAMAGE[what])
    result = tables_of(archive, tmp_path).build(DAY, 0)
    assert set(result.problems) == {key}
    assert result.rows == 648 - 9
    assert tables_of(archive, tmp_path).verify(DAY).not_in_tables == [key]
    assert tables_of(archive, tmp_path).buckets(DAY) == [0]
    _overwrite(archive, tmp_path, whole)
    assert tables_of(archive, tmp_path).build(DAY, 0).rows == 9
    assert tables_of(archive, tmp_path).buckets(DAY) == []
    assert_says_the_same(archive, tmp_path)


@pytest.mark.parametrize("lie", [{"rows": 8}, {"plain_sha256": "ab" * 32}])
def test_an_index_that_lies_is_not_believed(
    archive: Archive, tmp_path: Path, lie: dict[str, Any]
) -> None:
    entry = put_part(archive, "00ce69", FIRST_HOUR, hour_of_home("00ce69", FIRST_HOUR))
    put_index(archive, FIRST_HOUR, [replace(entry, **lie)])
    result = tables_of(archive, tmp_path).build(DAY, 0)
    assert "and the index says" in result.problems[entry.key]
    assert list(archive.keys(DAY.files_prefix)) == []
    put_index(archive, FIRST_HOUR, [entry], node="rebuilt")
    assert tables_of(archive, tmp_path).build(DAY, 0).rows == 9
    assert_says_the_same(archive, tmp_path)


def test_an_unreadable_index_object_is_said_and_the_others_are_used(
    archive: Archive, tmp_path: Path
) -> None:
    entry = put_part(archive, "00ce69", FIRST_HOUR, hour_of_home("00ce69", FIRST_HOUR))
    put_index(archive, FIRST_HOUR, [entry], number=1)
    damaged = f"_index/date={DAY}/hour=00/{NODE}.0.jsonl.gz"
    archive.put(damaged, b"nothing", {})
    result = tables_of(archive, tmp_path).build(DAY, 0)
    assert list(result.problems) == [damaged]
    assert result.rows == 9


def test_the_sealed_file_of_this_volume_is_read_if_it_is_the_same(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    folder = LogFolder(tmp_path / "logs")
    plain = hour_of_home("00ce69", FIRST_HOUR)
    put_index(archive, FIRST_HOUR, [put_part(archive, "00ce69", FIRST_HOUR, plain)])
    _overwrite(archive, tmp_path, None)
    paths = [folder.sealed_path("00ce69", FIRST_HOUR, f"{n:02d}", 1) for n in range(16)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(plain[:-1])
    assert tables_of(archive, tmp_path, folder).build(DAY, 0).problems
    for path in paths:
        path.write_bytes(plain)
    assert tables_of(archive, tmp_path, folder).build(DAY, 0).rows == 9


def test_a_day_is_complete_when_every_known_node_has_stated_all_its_hours(
    archive: Archive, tmp_path: Path
) -> None:
    tables = tables_of(archive, tmp_path)
    put_day(archive)
    assert tables.work(SOON_AFTER, [NODE]) == [(DAY, 0)]
    assert tables.work(SOON_AFTER, [NODE, "ffffffffffff"]) == []
    put_index(archive, FIRST_HOUR, [], node="eeeeeeeeeeee", complete=False)
    assert tables.work(SOON_AFTER, [NODE]) == [], "a node that wrote of the day is known too"
    assert tables.work(LONG_AFTER, [NODE, "ffffffffffff"]) == [(DAY, 0)]
    assert tables.work(DAY.end - 1.0, [NODE]) == []


def test_many_homes_make_several_buckets_and_all_rollers_agree_on_them(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.core.table_names.ROWS_PER_BUCKET", 200)
    put_day(archive)
    assert tables_of(archive, tmp_path).buckets(DAY) == [0, 1, 2, 3]
    monkeypatch.setattr("eagle_logger.core.table_names.ROWS_PER_BUCKET", 1_000_000)
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)
    files = [TableFile.parse(key) for key in archive.keys(DAY.files_prefix)]
    assert len({file.bucket for file in files if file}) > 1


def test_a_bucket_of_more_rows_than_a_file_takes_gets_several_files(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_up, "MOST_ROWS", 300)
    put_day(archive)
    assert build(archive, tmp_path).startswith("3 files, 648 rows")
    assert_says_the_same(archive, tmp_path)


def test_two_rollers_at_once_do_no_harm(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    start = Barrier(3)
    results: list[Any] = []

    def work() -> None:
        start.wait(30)
        results.append(tables_of(archive, tmp_path).build(DAY, 0))

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3
    assert_says_the_same(archive, tmp_path)


@pytest.fixture(params=["the plan", "the file"])
def other_roller(
    request: pytest.FixtureRequest, archive: Archive, tmp_path: Path
) -> Iterator[Archive]:
    """The archive, in which another roller that knows more of the index does the whole day just
    before this one puts its plan or its file."""
    ending = {"the plan": ".plan.json.gz", "the file": ".parquet"}[request.param]
    waiting = [True]

    def before(what: str, key: str) -> None:
        if what == "put" and key.endswith(ending) and waiting.pop() if waiting else False:
            late = hour_of_home("aaaaaa", FIRST_HOUR)
            entry = put_part(archive, "aaaaaa", FIRST_HOUR, late)
            put_index(archive, FIRST_HOUR, [entry], number=1)
            tables_of(archive, tmp_path).build(DAY, 0)

    yield Watched(archive, before)
    assert not waiting


def test_a_roller_that_is_overtaken_doubles_nothing(
    archive: Archive, other_roller: Archive, tmp_path: Path
) -> None:
    put_day(archive)
    build(other_roller, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_a_stopped_roller_leaves_nothing_half_done(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    assert "stopped before the end" in build(archive, tmp_path, stopping=lambda: True)
    assert list(archive.keys(DAY.files_prefix)) == []
    assert list((tmp_path / "work").iterdir()) == []
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_what_cannot_be_read_in_time_goes_to_further_files(
    archive: Archive, tmp_path: Path
) -> None:
    put_day(archive, hours=2)
    tables = tables_of(archive, tmp_path)
    rounds = 0
    while tables.build(DAY, 0, read_for=0.0).stopped:
        rounds += 1
        assert len(list(archive.keys(DAY.files_prefix))) == rounds
    assert rounds >= 5
    assert_says_the_same(archive, tmp_path)


def test_an_archive_that_gives_nothing_ends_the_round(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)

    def fail(what: str, key: str) -> None:
        if what == "get" and key.startswith("cloud_id="):
            raise ArchiveUnavailable("away")

    with pytest.raises(ArchiveUnavailable):
        build(Watched(archive, fail), tmp_path)
    assert list(archive.keys(DAY.files_prefix)) == []
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_a_file_that_the_store_damaged_is_never_proved(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive)
    file = TableFile(DAY, 0, 0)

    def damage(what: str, key: str) -> None:
        if what == "put" and key == file.key:
            path = tmp_path / "archive" / key
            body = bytearray(path.read_bytes())
            body[100] ^= 1
            path.write_bytes(bytes(body))

    with pytest.raises(TableDamaged, match="tables remove --date 2026-03-10"):
        build(Watched(archive, after=damage), tmp_path)
    assert archive.head(file.manifest_key) is None
    assert not tables_of(archive, tmp_path).verify(DAY).is_well
    tables_of(archive, tmp_path).remove(DAY)
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_a_file_of_no_plan_is_said_and_never_built_on(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    build(archive, tmp_path)
    archive.delete(TableFile(DAY, 0, 0).plan_key)
    assert "no plan names it" in tables_of(archive, tmp_path).verify(DAY).wrong[0]
    with pytest.raises(TableDamaged, match="tables remove"):
        tables_of(archive, tmp_path).build(DAY, 0)


def test_verify_finds_a_table_that_says_something_else(
    archive: DirectoryArchive, tmp_path: Path
) -> None:
    put_day(archive)
    build(archive, tmp_path)
    other = hour_of_home("00ce69", FIRST_HOUR).replace(b'"value":', b'"value":1', 1)
    key = archive_key("00ce69", FIRST_HOUR)
    (tmp_path / "archive" / key).unlink()
    put_part(archive, "00ce69", FIRST_HOUR, other)
    verdict = tables_of(archive, tmp_path).verify(DAY)
    assert any("and the index says" in reason for reason in verdict.wrong)
    path = tmp_path / "archive" / TableFile(DAY, 0, 0).key
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    verdict = tables_of(archive, tmp_path).verify(DAY)
    assert any("its bytes are not those" in reason for reason in verdict.wrong)


def test_removed_tables_can_be_built_again(archive: Archive, tmp_path: Path) -> None:
    put_day(archive)
    objects = set(archive.keys())
    build(archive, tmp_path)
    assert tables_of(archive, tmp_path).remove(DAY) == 6
    assert set(archive.keys()) == objects
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)
