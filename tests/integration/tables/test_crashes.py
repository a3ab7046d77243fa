"""A roller killed at any instruction that changes something, and started again: each reading stands
in the tables once."""

from __future__ import annotations

import shutil
from pathlib import Path

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.table_names import TableFile
from tests.integration.rotation.test_crashes import killed_at
from tests.integration.tables.test_roll_up import (
    FIRST_HOUR,
    assert_says_the_same,
    build,
    tables_of,
)
from tests.support.day_of_homes import DAY, hour_of_home, put_day, put_index, put_part

HOMES = ("00ce69",)


def put_late(archive: DirectoryArchive) -> None:
    entry = put_part(archive, "aaaaaa", FIRST_HOUR, hour_of_home("aaaaaa", FIRST_HOUR))
    put_index(archive, FIRST_HOUR, [entry], number=1)


def test_a_roller_killed_at_any_step_and_run_again_says_each_reading_once(tmp_path: Path) -> None:
    """Between the kill and the next roller, more comes: it must not get into the killed one's
    file."""
    put_day(DirectoryArchive(tmp_path / "before"), HOMES, every=1800, hours=1)
    for number in range(1000):
        root = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "before", root / "archive")
        archive = DirectoryArchive(root / "archive")
        if not killed_at(number, lambda: (build(archive, root), None)[1]):  # noqa: B023  (called at once)
            break
        put_late(archive)
        build(archive, root)
        assert_says_the_same(archive, root)
        assert len(list(archive.keys(DAY.files_prefix))) in {1, 2}
        assert tables_of(archive, root).buckets(DAY) == [], "the newest file of gaps is of all"
    assert number > 30


def test_a_removal_killed_at_any_step_leaves_what_can_be_built_or_removed(
    tmp_path: Path,
) -> None:
    before = DirectoryArchive(tmp_path / "before")
    put_day(before, HOMES, every=1800, hours=1)
    build(before, tmp_path)
    put_late(before)
    build(before, tmp_path)
    for number in range(1000):
        root = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "before", root / "archive")
        archive = DirectoryArchive(root / "archive")
        if not killed_at(number, lambda: (tables_of(archive, root).remove(DAY), None)[1]):  # noqa: B023  (called at once)
            break
        build(archive, root)
        assert_says_the_same(archive, root)
    assert number > 10
    assert archive.head(TableFile(DAY, 0, 0).key) is None
