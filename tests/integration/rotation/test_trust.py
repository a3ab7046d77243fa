"""A store that does not heed `If-None-Match: *` gets nothing, and costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eagle_logger import wiring
from eagle_logger.cli.main import main
from eagle_logger.core.hours import Hour
from eagle_logger.core.paths import IndexKey, archive_key
from eagle_logger.inspection.outside_checks import archive_is_writable
from eagle_logger.settings import Settings
from eagle_logger.simulator.s3 import request_checks
from tests.support.log_lines import CLOUD_ID, HOUR, demand, demands
from tests.support.pages import Page, differences
from tests.support.rotating import NOW, RETENTION, Disk, entries_in
from tests.support.s3_server import KEY_ID, SECRET, RunningS3

KEY = archive_key(CLOUD_ID, HOUR)
READINGS = range(59)
LATE = NOW + 3 * RETENTION


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "data" / "logs")


@pytest.fixture
def settings(tmp_path: Path, s3: RunningS3) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        archive_url="s3://eagle/archive",
        s3_endpoint_url=s3.url,
        aws_region="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )


def stored(s3: RunningS3) -> list[str]:
    """The user's objects that were put, by what came of it."""
    return [put["outcome"] for put in s3.puts() if "cloud_id=" in put["key"]]


BAD = [{"fault": "replace"}, {"fault": "501"}]


@pytest.mark.parametrize("fault", BAD)
def test_an_archived_hour_stays_whole_when_a_late_reading_comes(
    disk: Disk, s3: RunningS3, settings: Settings, fault: dict[str, Any]
) -> None:
    archive = wiring.archive(settings)
    disk.append(demands(READINGS))
    assert disk.rotate(archive).rows == len(READINGS)
    assert disk.rotate(archive, NOW + RETENTION).removed == 1  # so that only the archive has them

    s3.misbehave(fault)  # as after a move to another store, or behind another proxy
    disk.append(demands([59]))
    again = disk.rotate(wiring.archive(settings), LATE)
    assert "this store has no conditional writes and cannot be used" in str(again.errors)
    assert (again.objects, again.deferred, disk.unarchived()) == (0, 1, 1)
    assert len(entries_in(archive)[KEY]) == len(READINGS)
    assert stored(s3) == ["stored"]

    s3.misbehave()
    assert disk.rotate(wiring.archive(settings), LATE).rows == 1
    assert sum(len(entries) for entries in entries_in(archive).values()) == len(READINGS) + 1


@pytest.mark.parametrize("fault", BAD)
def test_no_log_file_is_deleted_while_the_store_replaces_objects(
    disk: Disk, s3: RunningS3, settings: Settings, fault: dict[str, Any]
) -> None:
    disk.append(demands(READINGS))
    assert disk.rotate(wiring.archive(settings)).rows == len(READINGS)
    s3.misbehave(fault)
    done = disk.rotate(wiring.archive(settings), NOW + RETENTION)
    assert (done.removed, len(done.errors)) == (0, 1)
    [sealed] = disk.folder.sealed_files(HOUR, "07")
    assert sealed.path.read_bytes()


def test_a_process_asks_for_the_proof_once(disk: Disk, s3: RunningS3, settings: Settings) -> None:
    s3.misbehave({"fault": "replace"})
    archive = wiring.archive(settings)
    for number in range(8):
        disk.append(demand(1, 1, cloud_id=f"00000{number}"), f"00000{number}")
    for _ in range(3):
        done = disk.rotate(archive)
        assert (done.objects, done.deferred, len(done.errors)) == (0, 8, 1)
    assert [put["key"] for put in s3.puts()] == ["archive/doctor/probe.txt"] * 2


def test_a_store_that_answers_304_and_keeps_the_object_is_used(
    disk: Disk, s3: RunningS3, settings: Settings, tmp_path: Path
) -> None:
    s3.misbehave({"fault": "304"})
    other = Disk(tmp_path / "other")
    for number, volume in enumerate((disk, other)):
        volume.append(demands([number]))
        assert volume.rotate(wiring.archive(settings)).objects == 1
    assert stored(s3) == ["stored", "PreconditionFailed", "stored"]


def test_the_probe_stays_and_counts_as_no_reading(
    disk: Disk, s3: RunningS3, settings: Settings
) -> None:
    disk.append(demands([1]))
    for _ in range(3):
        disk.rotate(wiring.archive(settings), LATE)
        wiring.archive(settings).prove()
    objects = sorted(
        path.relative_to(s3.directory / "eagle").as_posix()
        for path in _files(s3.directory / "eagle")
    )
    of_the_index = IndexKey(HOUR, disk.folder.node(), 0).key
    assert [name for name in objects if "_index/" not in name] == [
        f"archive/{KEY}",
        "archive/doctor/probe.txt",
    ]
    assert f"archive/{of_the_index}" in objects


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("fault", BAD)
def test_doctor_reports_a_store_that_cannot_be_used_every_time(
    s3: RunningS3, settings: Settings, fault: dict[str, Any]
) -> None:
    assert archive_is_writable(settings).is_ok
    s3.misbehave(fault)
    for _ in range(2):
        finding = archive_is_writable(settings)
        assert not finding.is_ok
        assert "this store has no conditional writes and cannot be used" in finding.found
        assert "EAGLE_S3_CHECKSUMS" not in finding.found + finding.advice
    s3.misbehave()
    assert archive_is_writable(settings).is_ok


def test_doctor_advises_about_checksums_only_where_they_are_what_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_checks, "_CHECKSUMS", {})
    assert "EAGLE_S3_CHECKSUMS=when_required" in archive_is_writable(settings).found
    assert archive_is_writable(settings.model_copy(update={"s3_checksums": "when_required"})).is_ok


@pytest.mark.parametrize("processes", ["1", "2"])
def test_rotate_reports_a_store_that_cannot_be_used_and_exits_with_1(
    disk: Disk, s3: RunningS3, settings: Settings, processes: str
) -> None:
    s3.misbehave({"fault": "replace"})
    hours = [HOUR, Hour(HOUR.start - 3600)]
    for cloud_id in (
        f"{number:06x}" for number in range(150)
    ):  # as many as are worth two processes
        for hour in hours:
            disk.append(demand(1, 1, cloud_id=cloud_id, hour=hour), cloud_id, hour)
    environment = {
        "EAGLE_DATA_DIR": str(settings.data_dir),
        "EAGLE_ARCHIVE_URL": settings.archive,
        "EAGLE_S3_ENDPOINT_URL": s3.url,
        "EAGLE_AWS_REGION": "us-east-1",
        "EAGLE_AWS_ACCESS_KEY_ID": KEY_ID,
        "EAGLE_AWS_SECRET_ACCESS_KEY": SECRET,
    }
    done = CliRunner(env=environment).invoke(main, ["rotate", "--processes", processes])
    assert done.exit_code == 1
    with Page("docs/how-to/choose-a-store.md", "text") as page:
        assert differences(["…", f"…{page.next().strip()}"], done.stderr) == []
    assert {put["key"] for put in s3.puts()} == {"archive/doctor/probe.txt"}
    assert disk.unarchived() == 300


def test_nothing_is_put_into_a_directory_that_cannot_link(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_source: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    settings = Settings(data_dir=tmp_path / "data", archive_url=(tmp_path / "stick").as_uri())
    monkeypatch.setattr("os.link", link)
    disk.append(demands([1]))
    done = disk.rotate(wiring.archive(settings))
    assert "cannot link files" in str(done.errors)
    finding = archive_is_writable(settings)
    assert (finding.is_ok, "cannot be used" in finding.found) == (False, True)
    assert _files(tmp_path / "stick") == []
