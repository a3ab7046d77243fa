"""`eagle-logger users import` and `export` on a real Redis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eagle_logger.errors import RedisUnavailable
from eagle_logger.users.redis.users import RedisUsers
from eagle_logger.users.store import StoredUser
from tests.integration.cli.commands import PASSWORD, Cli, user_line


def test_import_takes_good_lines_and_reports_bad_ones(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text(
        "\ufeff"
        + "\n".join(
            [
                user_line("000001", intervals={"demand": 10}, mac_id="0xD8D5B9000000ABCD"),
                user_line("00000Z"),
                "",
                user_line("000002", demand_interval=12.5, MacId="abcd"),
                f'{{"cloud_id": "000003", "user_pw": "{PASSWORD}"',
                f'{{"cloud_id": "000003", "user_pw": "{PASSWORD}"}}',
                user_line("000003", intervals={"demand": 0}),
                user_line("000003", intervals={"temperature": 10}),
                user_line("000003", colour="red"),
                user_line("000003", sealed="x"),
                user_line("000003", user_pw=f"{PASSWORD}\nHost: elsewhere"),
                f'["{PASSWORD}"]',
                user_line(3),
                user_line("000001", user_pw="a-later-one"),
                user_line("000004"),
            ]
        ),
        encoding="utf-8",
    )
    result = cli("users", "import", str(file))
    assert result.exit_code == 1
    assert result.stdout == "4 lines imported, 10 refused, 1 replaced an earlier one\n"
    complaints = dict(complaint.split(": ", 1) for complaint in result.stderr.splitlines())
    assert list(complaints) == [
        f"line {number}" for number in (2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
    ]
    assert "is not a cloud id" in complaints["line 2"]
    assert "Invalid JSON" in complaints["line 5"]
    assert complaints["line 6"] == "user_email is missing"
    assert complaints["line 7"].startswith("intervals.demand: ")
    assert complaints["line 9"].startswith("colour: ")
    assert complaints["line 11"].startswith("user_pw: ")
    assert complaints["line 14"] == "000001 again: it replaces line 1"
    rows = [row.split("\t") for row in cli("users", "list").stdout.splitlines()]
    assert [(row[0], row[5], row[6]) for row in rows] == [
        ("000001", "-", "-"),
        ("000002", "demand 12.5 s", "0x000000000000abcd"),
        ("000004", "-", "-"),
    ]


def test_a_line_that_is_not_text_is_refused_alone(cli: Cli) -> None:
    result = cli("users", "import", "-", stdin=b"\xff\xfe\x00\n" + user_line("000001").encode())
    assert (result.exit_code, result.stdout) == (
        1,
        "1 lines imported, 1 refused, 0 replaced an earlier one\n",
    )


def test_export_can_be_imported_again(cli: Cli, tmp_path: Path) -> None:
    lines = [user_line(f"{number:06x}", intervals={"price": 60}) for number in range(1200)]
    assert cli("users", "import", "-", stdin="\n".join(lines)).exit_code == 0
    backup = tmp_path / "backup.jsonl"
    cli("users", "export", str(backup))
    assert cli("users", "export").stdout == backup.read_text()
    assert PASSWORD not in backup.read_text()
    for number in range(1200):
        if number % 2:
            cli("users", "remove", f"{number:06x}")
    assert (
        cli("users", "import", str(backup)).stdout
        == "1200 lines imported, 0 refused, 0 replaced an earlier one\n"
    )
    assert cli("users", "export").stdout == backup.read_text()


def test_an_export_that_fails_half_way_leaves_the_last_one_alone(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("users", "import", "-", stdin=user_line("000001"))
    backup = tmp_path / "backup.jsonl"
    cli("users", "export", str(backup))
    before, all_users = backup.read_text(), RedisUsers.all

    async def until_redis_dies(
        self: RedisUsers, batch: int = 500
    ) -> AsyncIterator[list[StoredUser]]:
        async for users in all_users(self, batch=batch):
            yield users
        raise RedisUnavailable

    monkeypatch.setattr(RedisUsers, "all", until_redis_dies)
    cli("users", "import", "-", stdin=user_line("000002"))
    cli("users", "export", str(backup), fails=RedisUnavailable)
    assert backup.read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup.jsonl"]


def test_an_export_into_a_missing_directory_is_one_clear_message(cli: Cli, tmp_path: Path) -> None:
    result = cli("users", "export", str(tmp_path / "nowhere" / "backup.jsonl"))
    assert result.exit_code == 1
    assert "Could not open file" in result.stderr


def test_a_sealed_password_that_was_tampered_with_is_refused_alone(cli: Cli) -> None:
    cli("users", "import", "-", stdin="\n".join(user_line(f"00000{number}") for number in range(3)))
    exported = [json.loads(user) for user in cli("users", "export").stdout.splitlines()]
    exported[0]["sealed"], exported[1]["sealed"] = exported[1]["sealed"], "gAAAAAnonsense"
    result = cli("users", "import", "-", stdin="\n".join(map(json.dumps, exported)))
    assert (result.exit_code, result.stdout) == (
        1,
        "1 lines imported, 2 refused, 0 replaced an earlier one\n",
    )
    assert result.stderr.splitlines() == [
        "line 1: the sealed password belongs to another user",
        "line 2: the sealed password can be decrypted with none of the keys",
    ]
