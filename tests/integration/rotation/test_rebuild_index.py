"""`eagle-logger index rebuild`: an index for what no index object names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.archive.index_reading import index_of
from eagle_logger.cli.main import main
from eagle_logger.core import archive_index
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import INDEX, IndexKey, archive_key
from eagle_logger.inspection.archive_check import audit
from eagle_logger.rotation import rebuild_index as rebuilding
from eagle_logger.rotation.rebuild_index import RebuildProgress, RebuildResult, rebuild_index
from tests.integration.rotation.test_crashes import Killed, dying
from tests.support.archive_index import entries_held, entries_said
from tests.support.log_lines import HOUR, demand
from tests.support.pages import Page, differences
from tests.support.rotating import NOW, Disk, Watched

USERS = [f"{number:06x}" for number in range(5)]
HOURS = [Hour(HOUR.start + number * 3600) for number in range(3)]
LATER = HOURS[-1].end + 86400.0


@pytest.fixture
def archive(tmp_path: Path) -> DirectoryArchive:
    return DirectoryArchive(tmp_path / "archive")


@pytest.fixture
def disk(tmp_path: Path, archive: DirectoryArchive) -> Disk:
    """A node that archived and indexed three hours of a few homes."""
    disk = Disk(tmp_path / "logs")
    disk.folder.root.mkdir()
    disk.index(archive, HOUR.start)
    for hour in HOURS:
        for user in USERS:
            disk.append(demand(1, 1, cloud_id=user, hour=hour), user, hour)
    disk.rotate(archive, HOURS[-1].end + 600)
    return disk


def forget_index(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "archive" / "_index")


def rebuild(archive: object, tmp_path: Path, **options: object) -> RebuildResult:
    directory = tmp_path / "work"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    chosen = {"now": LATER, "since": Hour(0), **options}
    return rebuild_index(archive, directory, **chosen)  # type: ignore[arg-type]


def test_a_rebuilt_index_says_what_rotation_said(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    said = {hour: entries_said(archive, hour) for hour in HOURS}
    assert all(said.values())
    forget_index(tmp_path)
    result = rebuild(archive, tmp_path)
    assert (result.hours, result.entries, result.left_out) == (3, 15, {})
    assert {hour: entries_said(archive, hour) for hour in HOURS} == said
    assert all(index_of(archive, hour).is_complete for hour in HOURS)
    assert audit(disk.folder, archive, now=LATER).findings == []


def test_a_whole_index_stays_as_it_is(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    del disk
    before = list(archive.keys(INDEX))
    assert rebuild(archive, tmp_path) == RebuildResult()
    assert list(archive.keys(INDEX)) == before


def test_only_what_is_missing_is_added(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    lost = IndexKey(HOUR, disk.folder.node(), 0)
    (tmp_path / "archive" / lost.key).unlink()
    result = rebuild(archive, tmp_path)
    assert (result.hours, result.entries) == (1, len(USERS))
    for hour in HOURS:
        assert entries_said(archive, hour) == entries_held(archive, hour)


def test_a_rebuild_that_died_at_any_request_goes_on_with_what_is_left(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del disk
    monkeypatch.setattr(archive_index, "MOST_ENTRIES", 2)
    forget_index(tmp_path)
    for number in range(0, 200, 3):
        try:
            rebuild(dying(archive, number), tmp_path)
        except Killed:
            continue
        break
    assert number > 15
    for hour in HOURS:
        assert entries_said(archive, hour) == entries_held(archive, hour)


def test_two_rebuilds_at_once_name_each_object_once(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    del disk
    forget_index(tmp_path)
    others: list[RebuildResult] = []

    def rebuild_meanwhile(what: str, key: str) -> None:
        if what == "put" and INDEX in key and not others:
            others.append(RebuildResult())
            others.append(rebuild(archive, tmp_path / "other"))

    (tmp_path / "other").mkdir()
    rebuild(Watched(archive, before=rebuild_meanwhile), tmp_path)
    assert others[1].entries == 15
    for hour in HOURS:
        assert entries_said(archive, hour) == entries_held(archive, hour)


def test_the_last_hours_are_left_to_rotation(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    del disk
    forget_index(tmp_path)
    result = rebuild(archive, tmp_path, now=HOUR.end + 3 * 3600.0)
    assert (result.hours, entries_said(archive, HOURS[1])) == (1, [])


def test_a_span_of_hours_can_be_chosen(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    del disk
    forget_index(tmp_path)
    assert rebuild(archive, tmp_path, since=HOURS[1], until=HOURS[2]).entries == len(USERS)
    assert [bool(entries_said(archive, hour)) for hour in HOURS] == [False, True, False]


def test_a_damaged_object_is_left_out_with_the_reason(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    del disk
    forget_index(tmp_path)
    key = archive_key(USERS[0], HOUR)
    (tmp_path / "archive" / key).write_bytes(b"rubbish")
    result = rebuild(archive, tmp_path)
    assert list(result.left_out) == [key]
    assert len(entries_said(archive, HOUR)) == len(USERS) - 1


def test_keys_are_sorted_on_disk_when_they_are_many(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del disk
    monkeypatch.setattr(rebuilding, "_BUFFERED_KEYS", 2)
    monkeypatch.setattr(rebuilding, "_KEYS_AT_ONCE", 2)
    forget_index(tmp_path)
    seen: list[RebuildProgress] = []
    rebuild(archive, tmp_path, on_progress=seen.append)
    assert seen[-1] == RebuildProgress(15, 3, 3)
    for hour in HOURS:
        assert entries_said(archive, hour) == entries_held(archive, hour)


def test_a_node_goes_on_beside_a_rebuilt_index(
    disk: Disk, archive: DirectoryArchive, tmp_path: Path
) -> None:
    forget_index(tmp_path)
    rebuild(archive, tmp_path)
    disk.append(demand(9, 1, cloud_id=USERS[0]), USERS[0])
    disk.rotate(archive, NOW, include_open=True)
    named = {entry.key for entry in entries_said(archive)}
    assert named == {entry.key for entry in entries_held(archive)}
    assert audit(disk.folder, archive, now=LATER).findings == []


def test_the_command_says_what_it_did(disk: Disk, tmp_path: Path) -> None:
    del disk
    forget_index(tmp_path)
    with Page("docs/reference/index.md", "console") as page:
        shown = page.next().removeprefix("eagle-logger ").split()
        [output] = page.output
    words = [*shown, "--data", str(tmp_path)]
    runner = CliRunner()
    done = runner.invoke(main, [*words, "--since", "2026-03-10"])
    last_line = done.stdout.splitlines()[-1]
    assert last_line == "15 objects of 3 hours indexed, in 3 index objects; 0 cannot be indexed"
    assert (done.exit_code, differences([output], last_line)) == (0, [])
    again = runner.invoke(main, words)
    assert again.stdout.splitlines()[-1].startswith("0 objects of 0 hours indexed")
    assert runner.invoke(main, [*words, "--since", "yesterday"]).exit_code == 2
    checked = runner.invoke(main, ["check", "--data", str(tmp_path)])
    assert (checked.exit_code, "nothing wrong" in checked.stdout) == (0, True)
