"""The examples for analysts from README and the how-to, run on an archive that misleads readers
that infer types: whole numbers first, old and new lines, negative and missing values, cloud ids
that look like numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour
from eagle_logger.core.kinds import Kind
from eagle_logger.core.line_format import encode_line
from eagle_logger.core.line_parser import read_lines
from eagle_logger.core.paths import archive_key
from eagle_logger.core.readings import Flag, Reading, Value
from eagle_logger.core.sealing import part_of
from eagle_logger.core.table_columns import COLUMNS, ColumnType
from eagle_logger.rotation.rebuild_index import rebuild_index
from eagle_logger.tables.day_tables import DayTables
from eagle_logger.tables.input_reader import InputReader
from tests.support.log_lines import DEVICE, METER
from tests.support.pages import ROOT, Page
from tests.support.version_before import as_it_wrote

HOURS = [Hour.parse("2026-03-09-17"), Hour.parse("2026-03-10-23")]
WHOLE = ["000001", "1e5123", *(f"{number:06x}" for number in range(0x10, 0x30))]
FINE = [f"f{number:05x}" for number in range(8)]
"""Readers open files in order of their names, so homes with only whole numbers come first."""
GIVEN = {**dict.fromkeys(WHOLE, Decimal(0)), **dict.fromkeys(FINE, Decimal("0.21"))}
NUMBERS = ("value", "delivered", "received", "price")

Totals = dict[tuple[str, date, str], Decimal]
"""Exact totals by cloud id, date and member."""


def readings_of(cloud_id: str, hour: Hour) -> Iterator[Reading]:
    whole, at = cloud_id in WHOLE, hour.start
    number = int(cloud_id[-1], 16)

    def reading(kind: Kind, offset: int, values: dict[str, Value]) -> Reading:
        flags = frozenset({Flag.LONG_PAST}) if number % 3 == 0 else frozenset[Flag]()
        return Reading(
            DEVICE, METER, kind, at + offset, values, {"TimeStamp": f"0x{offset:x}"}, flags
        )

    for turn in range(4):
        watts = Decimal(10 * turn - 10) if whole else Decimal(turn * 239 - 500).scaleb(-3)
        yield reading(Kind.DEMAND, 8 * turn, {"value": watts, "unit": "kW"})
        delivered = Decimal(100 + turn) if whole else Decimal("10534.239") + turn * Decimal("0.001")
        received = None if number == 2 else Decimal(0 if whole else 7 * turn).scaleb(-2)
        yield reading(
            Kind.SUMMATION, 8 * turn, {"delivered": delivered, "received": received, "unit": "kWh"}
        )
    if not whole:
        of_price: dict[str, Value] = {
            "price": Decimal("0.125"),
            "currency": "USD",
            "unit": "USD/kWh",
            "tier": 1,
            "label": "A",
        }
        yield reading(Kind.PRICE, 3, of_price)
        yield reading(
            Kind.MESSAGE,
            4,
            {"id": "0x01", "text": "Save: 1.0, or 2", "confirmed": False, "read": None},
        )


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Totals, int]:
    """The folder with `data/archive` in it, the exact totals, and the number of lines."""
    folder = tmp_path_factory.mktemp("analysis")
    archive, totals, count = (
        DirectoryArchive(folder / "data" / "archive"),
        defaultdict[Any, Decimal](Decimal),
        0,
    )
    for cloud_id in [*WHOLE, *FINE]:
        for hour in HOURS:
            readings = list(readings_of(cloud_id, hour))
            lines = [encode_line(cloud_id, reading, reading.time + 3.25) for reading in readings]
            if int(cloud_id[-1], 16) % 2:
                lines = [as_it_wrote(line) for line in lines]
            part = part_of(read_lines(b"".join(lines), cloud_id)[0], {})
            body = part.compressed()
            archive.put(archive_key(cloud_id, hour), body, part.metadata(body))
            count += part.rows
            for reading in readings:
                for name, number in reading.values.items():
                    if name in NUMBERS and isinstance(number, Decimal):
                        totals[
                            cloud_id, datetime.fromtimestamp(reading.time, UTC).date(), name
                        ] += number
    # The examples must not take the index for readings.
    (folder / "work").mkdir()
    now = HOURS[-1].end + 86400.0
    assert rebuild_index(archive, folder / "work", now=now, since=HOURS[0]).index_objects == 2
    tables = DayTables(archive, InputReader(archive), folder / "work", "test")
    for day, bucket in tables.work(now, []):
        assert not tables.build(day, bucket).refused
    return folder, dict(totals), count


def test_the_tested_archive_misleads_readers_that_infer_types(
    archived: tuple[Path, Totals, int],
) -> None:
    folder, _, _ = archived
    assert len(WHOLE) * len(HOURS) > 32
    bodies = [path.name for path in sorted(folder.glob("data/archive/*/*/*.jsonl.gz"))]
    assert [name[:6] for name in bodies[: len(WHOLE) * len(HOURS)]] == sorted(WHOLE * len(HOURS))


def of(totals: Totals, name: str) -> dict[tuple[str, date], Decimal]:
    return {
        (cloud_id, day): total for (cloud_id, day, what), total in totals.items() if what == name
    }


def test_duckdb_reads_the_archive_as_the_readme_shows(
    archived: tuple[Path, Totals, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    folder, totals, _ = archived
    monkeypatch.chdir(folder)
    with Page("README.md", "sql") as page, duckdb.connect() as connection:
        query = page.next()
        amounts = {tuple(row[:2]): row[2:] for row in connection.sql(query).fetchall()}
    assert amounts.keys() == of(totals, "delivered").keys()
    taken = {cloud_id: amount for (cloud_id, _), (amount, _) in amounts.items()}
    assert taken == {**dict.fromkeys(WHOLE, Decimal(3)), **dict.fromkeys(FINE, Decimal("0.003"))}
    given = {
        cloud_id: amount for (cloud_id, _), (_, amount) in amounts.items() if amount is not None
    }
    assert given == {cloud_id: amount for cloud_id, amount in GIVEN.items() if cloud_id[-1] != "2"}


def test_duckdb_reads_the_archive_as_the_how_to_shows(
    archived: tuple[Path, Totals, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb

    folder, totals, count = archived
    monkeypatch.chdir(folder)
    with Page("docs/how-to/analyse.md", "sql") as page, duckdb.connect() as connection:
        of_tables = page.next()
        script = page.next()
        answer = connection.execute(of_tables).fetchall()
        assert {(row[0], row[1]) for row in answer} == of(totals, "value").keys()
        assert sums_of_view(connection) == {name: of(totals, name) for name in NUMBERS}
        connection.execute("DROP VIEW readings")
        answers = [
            connection.execute(statement).fetchall()
            for statement in script.split(";")
            if statement.strip()
        ]
        assert sums_of_view(connection) == {name: of(totals, name) for name in NUMBERS}
        [(lines, first, tier)] = connection.sql(
            "SELECT count(*), min(time), max(tier) FROM readings"
        ).fetchall()
    assert (lines, first, tier) == (count, datetime.fromtimestamp(HOURS[0].start, UTC), 1)
    _, _, demands, summations = answers
    assert {row[0] for row in demands} == {row[0] for row in summations} == {*WHOLE, *FINE}
    assert {row[2] for row in summations} == {Decimal(3), Decimal("0.003")}
    assert {row[3] for row in summations} == {None, Decimal(0), Decimal("0.21")}


def sums_of_view(connection: Any) -> dict[str, Any]:
    """The sum of each number by cloud id and date, as DuckDB computes it."""
    sums = {}
    for name in NUMBERS:
        query = (
            f"SELECT cloud_id, date, sum({name}) FROM readings "
            f"GROUP BY ALL HAVING sum({name}) IS NOT NULL"
        )
        sums[name] = {tuple(row[:2]): row[2] for row in connection.sql(query).fetchall()}
    return sums


def test_each_reader_of_day_tables_sums_the_same_decimals(
    archived: tuple[Path, Totals, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, totals, _ = archived
    monkeypatch.chdir(folder)
    day = date(2026, 3, 10)
    expected = {
        cloud_id: total for (cloud_id, at), total in of(totals, "value").items() if at == day
    }
    arrow, pandas, polars = run_python(folder, monkeypatch)["frames"][:3]
    assert dict(
        zip(*arrow.select(["cloud_id", "value_sum"]).to_pydict().values(), strict=True)
    ) == (expected)
    assert pandas.to_dict() == expected
    assert dict(polars.rows()) == expected


def test_athena_is_told_of_the_columns_that_there_are() -> None:
    types = {
        ColumnType.TEXT: "string",
        ColumnType.MOMENT: "timestamp",
        ColumnType.ENERGY: "decimal(18, 6)",
        ColumnType.MONEY: "decimal(18, 9)",
        ColumnType.SMALL: "smallint",
        ColumnType.FLAG: "boolean",
        ColumnType.WORDS: "array<string>",
    }
    page = (ROOT / "docs/how-to/analyse.md").read_text()
    statement = page[page.index("CREATE EXTERNAL TABLE readings (") : page.index("PARTITIONED BY")]
    listed = re.findall(r"[(,]\s+`?(\w+)`? ([a-z]+(?:\([\d, ]+\)|<\w+>)?)", statement)
    assert listed == [(column.name, types[column.type]) for column in COLUMNS]


def run_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the page's Python snippets one after the other, unchanged. `frames` holds what each
    called `frame`."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    frames = []
    with Page("docs/how-to/analyse.md", "python") as page:
        for begins in (
            "import pyarrow.compute",
            "import pandas",
            "import polars",
            "import glob",
            "import pandas",
            "import polars",
        ):
            exec(compile(page.next(begins), page.name, "exec"), names)
            frames += [names.pop("frame")] if "frame" in names else []
    return {**names, "frames": frames}


def test_python_reads_the_archive_as_the_how_to_shows(
    archived: tuple[Path, Totals, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, totals, count = archived
    names = run_python(folder, monkeypatch)
    readings, (pandas, polars) = names["readings"], names["frames"][3:]
    assert readings.num_rows == len(pandas) == len(polars) == count
    assert capsys.readouterr().out.count("20.000000000000") > 8, "both tables were shown"
    rows = readings.to_pylist()
    for name in NUMBERS:
        expected = of(totals, name)
        assert summed((row["cloud_id"], row["time"].date(), row[name]) for row in rows) == expected
        by_pandas = (
            pandas.groupby(["cloud_id", pandas["time"].dt.date])[name].sum(min_count=1).dropna()
        )
        assert by_pandas.to_dict() == expected
        by_polars = polars.drop_nulls(name).group_by("cloud_id", names["pl"].col("time").dt.date())
        assert {
            tuple(row[:2]): row[2] for row in by_polars.agg(names["pl"].col(name).sum()).rows()
        } == expected
    assert {row["tier"] for row in rows} == {None, 1}
    assert {row["time"] for row in rows} >= {
        datetime.fromtimestamp(hour.start, UTC) for hour in HOURS
    }


def summed(numbers: Iterator[tuple[str, date, Decimal | None]]) -> dict[tuple[str, date], Decimal]:
    totals = defaultdict[tuple[str, date], Decimal](Decimal)
    for cloud_id, day, number in numbers:
        if number is not None:
            totals[cloud_id, day] += number
    return dict(totals)


def test_readers_never_take_the_numbers_written_now_for_integers(tmp_path: Path) -> None:
    """Read without naming columns. Lines that are written now are not rounded, whichever file comes
    first."""
    import duckdb

    for number, cloud_id in enumerate(WHOLE + FINE):
        lines = [
            encode_line(cloud_id, reading, reading.time)
            for reading in readings_of(cloud_id, HOURS[0])
        ]
        (tmp_path / f"{number:03}.jsonl").write_bytes(b"".join(lines))
    with duckdb.connect() as connection:
        inferred = connection.sql(
            f"SELECT DISTINCT typeof(value), typeof(delivered) FROM read_json('{tmp_path}/*.jsonl')"
        )
        assert inferred.fetchall() == [("DOUBLE", "DOUBLE")]
