"""Days, buckets, and the keys of day tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_logger.core.hours import Hour
from eagle_logger.core.table_names import (
    MOST_BUCKETS,
    ROWS_PER_BUCKET,
    Day,
    TableFile,
    bucket_of,
    buckets_for,
    day_of,
    ensure_deletable,
)

FILE = TableFile(Day("2026-03-10"), 7, 12)


def test_the_keys_of_a_file() -> None:
    assert FILE.key == "parquet/v=1/date=2026-03-10/07-12.parquet"
    assert FILE.plan_key == "parquet/v=1/_manifest/date=2026-03-10/07-12.plan.json.gz"
    assert FILE.manifest_key == "parquet/v=1/_manifest/date=2026-03-10/07-12.json"


def test_each_key_names_its_file_and_day() -> None:
    for key in FILE.keys:
        assert TableFile.parse(key) == FILE
        assert day_of(key) == FILE.day
    assert day_of(FILE.day.buckets_key) == FILE.day


@pytest.mark.parametrize(
    "key",
    [
        "",
        "cloud_id=002738/date=2026-03-10/002738-2026-03-10-17.jsonl.gz",
        "parquet/v=1/date=2026-13-10/07-12.parquet",
        "parquet/v=1/date=2026-03-10/7-12.parquet",
        "parquet/v=1/date=2026-03-10/07-012.parquet",
        "parquet/v=1/date=2026-03-10/07-12.json",
        "parquet/v=1/_manifest/date=2026-03-10/07-12.parquet",
        "parquet/v=1/_manifest/date=2026-03-10/day.json",
        "parquet/v=2/date=2026-03-10/07-12.parquet",
    ],
)
def test_any_other_key_names_no_file(key: str) -> None:
    assert TableFile.parse(key) is None


def test_a_day_that_is_none_has_no_objects() -> None:
    assert day_of("parquet/v=1/date=2026-02-30/07-12.parquet") is None
    assert day_of("parquet/other") is None


@pytest.mark.parametrize("text", ["", "2026-2-3", "2026-02-30", "2026-03-10-17", "today"])
def test_a_day_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueError):
        Day.parse(text)


def test_a_day_has_24_hours() -> None:
    day = Day.parse("2026-03-10")
    assert (day.hours[0], day.hours[-1]) == (
        Hour.parse("2026-03-10-00"),
        Hour.parse("2026-03-10-23"),
    )
    assert len(day.hours) == 24
    assert day.end == day.hours[-1].end
    assert Day.of(day.start) == Day.of(day.end - 0.001) == day
    assert str(day) == "2026-03-10"


def test_only_tables_can_be_deleted() -> None:
    ensure_deletable(FILE.key)
    for key in ("cloud_id=002738/x", "_index/x", "", "parquets/x"):
        with pytest.raises(ValueError):
            ensure_deletable(key)


@given(st.integers(0, 10**11))
def test_buckets_are_a_power_of_two_and_hold_not_too_many_rows(rows: int) -> None:
    buckets = buckets_for(rows)
    assert buckets & (buckets - 1) == 0
    assert 1 <= buckets <= MOST_BUCKETS
    assert buckets == MOST_BUCKETS or rows <= buckets * ROWS_PER_BUCKET
    assert buckets == 1 or rows > buckets // 2 * ROWS_PER_BUCKET


def test_a_day_of_30_000_homes_makes_eight_buckets() -> None:
    assert buckets_for(30_000 * 9_930) == 8


def test_a_home_stays_in_its_bucket() -> None:
    """These numbers are in keys that exist: they must never change."""
    homes = ("00ce69", "002738", "ffffff")
    assert [bucket_of(home, 8) for home in homes] == [3, 1, 0]
    assert [bucket_of(home, 1) for home in homes] == [0, 0, 0]
