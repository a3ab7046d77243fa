"""`eagle-logger gaps`, over log files and an archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet

from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.core.hours import Hour, iso
from eagle_logger.errors import UnknownUser
from tests.integration.cli.commands import Cli
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.pages import Page
from tests.support.rotating import Disk

OTHER = "00ce69"
NEXT = Hour(HOUR.end)
PERIOD = ("--since", iso(HOUR.start), "--until", iso(NEXT.end))


@pytest.fixture
def disk(tmp_path: Path, settings_of_test: None) -> Disk:
    """One home with a whole hour and a quiet one, another with both; all is archived."""
    disk = Disk(tmp_path / "data" / "logs")
    disk.folder.root.mkdir(parents=True)
    archive = DirectoryArchive(tmp_path / "data" / "archive")
    disk.index(archive, HOUR.start)
    disk.append(demands(range(0, 3600, 10)))
    for hour in (HOUR, NEXT):
        lines = (demand(at, 1, cloud_id=OTHER, hour=hour) for at in range(0, 3600, 60))
        disk.append(b"".join(lines), OTHER, hour)
    for hour in (HOUR, NEXT):
        disk.rotate(archive, hour.end + 600)
        disk.index(archive, hour.end + 600)
    return disk


def test_the_hours_of_a_home_with_gaps_are_shown(cli: Cli, disk: Disk) -> None:
    shown = cli("gaps", CLOUD_ID, *PERIOD)
    [cells] = [line.split("\t") for line in shown.stdout.splitlines()]
    assert cells[:2] == [CLOUD_ID, iso(NEXT.start)]
    assert cells[-1] == "home_silent"
    rows = [
        json.loads(line)
        for line in cli("gaps", CLOUD_ID, *PERIOD, "--all", "--json").stdout.splitlines()
    ]
    assert [(row["had"], row["expected"], row["missing"]) for row in rows] == [
        (360, 360, 0),
        (0, 360, 360),
    ]


def test_the_commands_of_the_page_work(cli: Cli, disk: Disk) -> None:
    with Page("docs/how-to/energy-and-gaps.md", "console") as page:
        words = page.next("eagle-logger gaps").replace("0001aa", CLOUD_ID).split()
        assert cli(*words[1:], "--all").stdout.startswith(f"{CLOUD_ID}\t{iso(HOUR.start)}\t")
        words = page.next("eagle-logger energy").replace("0001aa", CLOUD_ID).split()
        assert cli(*words[1:]).exit_code == 0


def test_all_homes_are_shown_one_after_the_other(cli: Cli, disk: Disk, tmp_path: Path) -> None:
    shown = cli("gaps", *PERIOD, "--json")
    assert [json.loads(line)["cloud_id"] for line in shown.stdout.splitlines()] == [CLOUD_ID]
    path = tmp_path / "gaps.parquet"
    assert "4 rows" in cli("gaps", *PERIOD, "--parquet", str(path)).stdout
    rows = parquet.read_table(path).to_pylist()
    assert [row["missing"] for row in rows] == [0, 360, 0, 0]


def test_an_hour_that_no_home_has_is_no_homes_fault(cli: Cli, disk: Disk, tmp_path: Path) -> None:
    third = Hour(NEXT.end)
    disk.index(DirectoryArchive(tmp_path / "data" / "archive"), third.end + 600)
    shown = cli("gaps", OTHER, "--since", iso(third.start), "--until", iso(third.end), "--json")
    [row] = map(json.loads, shown.stdout.splitlines())
    assert (row["why"], row["missing"]) == ("all_silent", 60)


def test_readings_that_still_wait_on_a_node_are_no_loss(
    cli: Cli, disk: Disk, tmp_path: Path
) -> None:
    """The index says that this node has files of the hour that are not archived."""
    third = Hour(NEXT.end)
    archive = DirectoryArchive(tmp_path / "data" / "archive")
    lines = (demand(at, 1, cloud_id=OTHER, hour=third) for at in range(0, 3600, 60))
    disk.append(b"".join(lines), OTHER, third)
    disk.rotate(archive, third.end, include_open=True)
    shown = cli("gaps", CLOUD_ID, "--since", iso(third.start), "--until", iso(third.end), "--json")
    [row] = map(json.loads, shown.stdout.splitlines())
    assert row["why"] == "waiting"


def test_lines_that_were_kept_aside_are_named(cli: Cli, disk: Disk) -> None:
    disk.folder.quarantine(disk.path(CLOUD_ID, NEXT).name, b"{torn", "torn")
    shown = cli("gaps", CLOUD_ID, *PERIOD, "--json")
    [row] = map(json.loads, shown.stdout.splitlines())
    assert row["why"] == "kept_aside"


def test_an_object_that_cannot_be_read_is_named(cli: Cli, disk: Disk, tmp_path: Path) -> None:
    [path] = (tmp_path / "data" / "archive").rglob(f"{OTHER}-{NEXT}.jsonl.gz")
    path.chmod(0o600)
    path.write_bytes(b"no gzip")
    for sealed in disk.folder.sealed_files(NEXT, "07"):
        disk.folder.remove(sealed)
    shown = cli("gaps", OTHER, *PERIOD, "--json")
    [row] = map(json.loads, shown.stdout.splitlines())
    assert row["why"] == "unreadable"


def test_a_home_that_never_had_a_reading_is_unknown(cli: Cli, disk: Disk) -> None:
    cli("gaps", "abcdef", *PERIOD, fails=UnknownUser)


def test_a_moment_that_is_none_is_a_usage_error(cli: Cli, disk: Disk) -> None:
    assert cli("gaps", CLOUD_ID, "--since", "yesterday", fails=SystemExit).exit_code == 2
