"""Day tables on a strict S3 that misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_logger.archive.trusted import TrustedArchive
from eagle_logger.errors import ArchiveUnavailable, NoConditionalWrites, TableDamaged
from tests.integration.tables.test_roll_up import assert_says_the_same, build, tables_of
from tests.support.day_of_homes import DAY, put_day
from tests.support.s3_server import RunningS3

HOMES = ("00ce69",)


@pytest.fixture
def archive(s3: RunningS3) -> TrustedArchive:
    archive = TrustedArchive(s3.archive())
    put_day(archive, HOMES, hours=3)
    return archive


def test_a_day_is_rolled_up_on_s3(archive: TrustedArchive, tmp_path: Path) -> None:
    assert build(archive, tmp_path).startswith("1 files, 27 rows")
    assert_says_the_same(archive, tmp_path)


@pytest.mark.parametrize("fault", ["lost", "409"])
def test_puts_whose_answers_are_lost_or_refused_double_nothing(
    archive: TrustedArchive, s3: RunningS3, tmp_path: Path, fault: str
) -> None:
    s3.misbehave({"fault": fault, "share": 0.5})
    for _ in range(20):
        try:
            build(archive, tmp_path)
        except (ArchiveUnavailable, TableDamaged):
            continue
        break
    s3.misbehave()
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_an_s3_that_is_away_leaves_nothing_half_done(
    archive: TrustedArchive, s3: RunningS3, tmp_path: Path
) -> None:
    s3.misbehave({"fault": "503", "methods": ["GET", "HEAD", "PUT"]})
    with pytest.raises(ArchiveUnavailable):
        build(archive, tmp_path)
    s3.misbehave()
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_one_object_that_s3_does_not_give_keeps_nobody_else_out(
    archive: TrustedArchive, s3: RunningS3, tmp_path: Path
) -> None:
    key = f"cloud_id=00ce69/date={DAY}/00ce69-{DAY}-01.jsonl.gz"
    s3.misbehave({"fault": "403", "methods": ["GET"], "key": key})
    result = tables_of(archive, tmp_path).build(DAY, 0)
    assert "the archive does not give it" in result.problems[key]
    assert result.rows == 18
    s3.misbehave()
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_bytes_that_s3_stored_wrong_are_never_proved(
    archive: TrustedArchive, s3: RunningS3, tmp_path: Path
) -> None:
    s3.misbehave({"fault": "corrupt"})
    with pytest.raises(TableDamaged):
        build(archive, tmp_path)
    s3.misbehave()
    tables_of(archive, tmp_path).remove(DAY)
    build(archive, tmp_path)
    assert_says_the_same(archive, tmp_path)


def test_a_store_that_replaces_objects_gets_no_table(s3: RunningS3, tmp_path: Path) -> None:
    archive = s3.archive()
    put_day(archive, HOMES, hours=1)
    s3.misbehave({"fault": "replace"})
    with pytest.raises(NoConditionalWrites):
        build(TrustedArchive(archive), tmp_path)
    assert list(archive.keys("parquet/")) == []
