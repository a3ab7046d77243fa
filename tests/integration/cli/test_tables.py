"""`eagle-logger tables`, on a directory archive and on S3."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eagle_logger.archive.archive import Archive
from eagle_logger.archive.directory import DirectoryArchive
from eagle_logger.cli.main import main
from eagle_logger.core.table_names import TableFile
from eagle_logger.errors import TablesNotInstalled
from tests.support.day_of_homes import DAY, hour_of_home, line, put_day, put_index, put_part
from tests.support.pages import Page, differences
from tests.support.s3_server import KEY_ID, SECRET, RunningS3


def run(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["tables", *words, "--data", str(data_dir)])


def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    put_day(DirectoryArchive(tmp_path / "archive"))
    with Page("docs/reference/day-tables.md", "console") as page:
        for _ in range(4):
            words = page.next("eagle-logger tables ").split()[2:]
            done = run(tmp_path, *words)
            assert (done.exit_code, differences(page.output, done.stdout)) == (0, [])
    with Page("docs/how-to/analyse.md", "sh") as page:
        first, second = (run(tmp_path, *page.next().split()[2:]) for _ in range(2))
    assert first.stdout.startswith("1 files, 648 rows, ")
    assert second.stdout == "nothing to build\n"


def test_list_and_verify_as_json(tmp_path: Path) -> None:
    put_day(DirectoryArchive(tmp_path / "archive"), hours=2)
    run(tmp_path, "build")
    listed = json.loads(run(tmp_path, "list", "--json").stdout)
    assert (listed["date"], listed["files"], listed["rows"]) == (DAY.date, 1, 54)
    assert listed["unfinished"] == listed["refused"] == 0
    assert json.loads(run(tmp_path, "verify", "--date", DAY.date, "--json").stdout) == {
        "date": DAY.date,
        "files": 1,
        "rows": 54,
        "lines": 54,
        "refused": {},
        "not_in_tables": [],
        "wrong": [],
    }
    assert run(tmp_path, "list", "--date", "2026-03-11").stdout == ""


def test_what_cannot_be_in_a_table_is_said_and_fails_the_command(tmp_path: Path) -> None:
    from decimal import Decimal

    archive = DirectoryArchive(tmp_path / "archive")
    hour = DAY.hours[0]
    fine = line("00ce69", hour.start, value=Decimal("0.12345678"), unit="kW")
    refused = put_part(archive, "00ce69", hour, fine)
    missing = put_part(archive, "002738", hour, hour_of_home("002738", hour))
    put_index(archive, hour, [refused, missing])
    (tmp_path / "archive" / missing.key).unlink()
    done = run(tmp_path, "build", "--date", DAY.date)
    assert done.exit_code == 1
    assert f"{refused.key}: " in done.stderr
    assert f"{missing.key}: the index names it, and there is no such object" in done.stderr
    assert "1 objects refused; 1 objects cannot be used" in done.stdout
    verified = run(tmp_path, "verify")
    assert verified.exit_code == 0
    assert "1 objects are in no table yet" in verified.stdout
    assert f"refused: {refused.key}" in verified.stdout


def test_verify_fails_if_a_table_is_damaged(tmp_path: Path) -> None:
    put_day(DirectoryArchive(tmp_path / "archive"), hours=1)
    run(tmp_path, "build")
    path = tmp_path / "archive" / TableFile(DAY, 0, 0).key
    path.write_bytes(path.read_bytes()[:-9])
    done = run(tmp_path, "verify")
    assert (done.exit_code, "NOT the same" in done.stdout) == (1, True)


def test_the_same_on_s3(s3: RunningS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EAGLE_ARCHIVE_URL": "s3://eagle/archive",
        "EAGLE_S3_ENDPOINT_URL": s3.url,
        "EAGLE_AWS_REGION": "us-east-1",
        "EAGLE_AWS_ACCESS_KEY_ID": KEY_ID,
        "EAGLE_AWS_SECRET_ACCESS_KEY": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    archive: Archive = s3.archive()
    put_day(archive, hours=3)
    assert run(tmp_path, "build").stdout.startswith("1 files, 81 rows")
    assert run(tmp_path, "verify").exit_code == 0
    s3.misbehave({"fault": "503", "methods": ["GET"]})
    failed = CliRunner().invoke(main, ["tables", "verify", "--data", str(tmp_path)])
    assert failed.exit_code == 1
    s3.misbehave()
    assert run(tmp_path, "remove", "--date", DAY.date).stdout == "6 objects deleted\n"
    assert list(archive.keys("parquet/")) == []


def test_without_pyarrow_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eagle_logger.wiring.find_spec", {}.get)
    done = run(tmp_path, "list")
    assert isinstance(done.exception, TablesNotInstalled)
    assert "pip install 'eagle-logger[tables]'" in str(done.exception)


def test_help_and_other_commands_do_not_import_pyarrow() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from eagle_logger.cli.main import main; "
        "CliRunner().invoke(main, ['tables', 'build', '-h']); CliRunner().invoke(main, ['-h']); "
        "import workers.cli; sys.exit('pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=100).returncode == 0
