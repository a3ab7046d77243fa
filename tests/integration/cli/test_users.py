"""`eagle-logger users`, `keys` and `shards` against a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eagle_logger.cli.main import main
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.errors import (
    BadCloudId,
    ConfigurationError,
    NoSecretKey,
    Permanent,
    RedisUnavailable,
    UnknownUser,
)
from eagle_logger.users.cipher import Cipher, new_key
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.redis.users import RedisUsers
from eagle_logger.users.store import Report, StoredUser

Cli = Callable[..., Result]
PASSWORD = "one-of-the-passwords"
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from eagle_logger.cli.main import run; sys.argv[0] = 'eagle-logger'; run()",
]


@pytest.fixture
def environment(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EAGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EAGLE_REDIS_URL", redis_url)
    monkeypatch.setenv("EAGLE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EAGLE_SECRET_KEYS", new_key())


@pytest.fixture
def cli(environment: None) -> Cli:
    def invoke(
        *words: str, stdin: str | bytes | None = None, fails: type[BaseException] | None = None
    ) -> Result:
        result = CliRunner().invoke(main, words, input=stdin)
        assert PASSWORD not in result.output
        if fails:
            assert isinstance(result.exception, fails), result.output
        elif isinstance(result.exception, Exception):
            raise result.exception
        return result

    return invoke


def line(cloud_id: object, **more: object) -> str:
    return json.dumps(
        {"cloud_id": cloud_id, "user_email": "a@example.org", "user_pw": PASSWORD, **more}
    )


# One at a time ---


def test_a_user_is_added_shown_listed_and_removed(cli: Cli) -> None:
    words = (
        "users",
        "add",
        "00CE69",
        "--email",
        "owner@example.org",
        "--demand-interval",
        "10",
        "--mac-id",
        "D8D5B9000000ABCD",
    )
    assert cli(*words, stdin=f"{PASSWORD}\n").output == "00ce69 added\n"
    assert cli(*words, stdin=PASSWORD).output == "00ce69 updated\n"
    shown = dict(row.split("\t") for row in cli("users", "show", "00ce69").output.splitlines())
    assert shown["user_email"] == "owner@example.org"
    assert shown["mac_id"] == "0xd8d5b9000000abcd"
    assert shown["own cadence"] == "demand 10 s"
    assert shown["turn"].startswith("due ")
    [row] = cli("users", "list").output.splitlines()
    assert row.split("\t")[0] == "00ce69"
    assert len(row.split("\t")) == 7
    assert cli("users", "remove", "00ce69").output == "00ce69 removed\n"
    assert cli("users", "list").output == ""


@pytest.mark.parametrize("spelling", ["00:CE:69", "00-ce-69", "0x00CE69", " 00ce69 "])
def test_every_command_takes_the_spellings_of_stickers_and_gateways(
    cli: Cli, spelling: str
) -> None:
    assert (
        cli("users", "add", spelling, "--email", "a@example.org", stdin=PASSWORD).output
        == "00ce69 added\n"
    )
    assert cli("users", "show", spelling).output.startswith("cloud_id\t00ce69\n")
    assert cli("users", "wake", spelling).output.startswith("00ce69 is not parked")
    assert cli("users", "remove", spelling).output == "00ce69 removed\n"
    assert cli("users", "import", "-", stdin=line(spelling)).output.startswith("1 lines imported")
    assert json.loads(cli("users", "export").output)["cloud_id"] == "00ce69"


def test_a_password_is_kept_as_it_was_typed(cli: Cli) -> None:
    cli(
        "users",
        "add",
        "00ce69",
        "--email",
        "a@example.org",
        stdin="with spaces, ü and a tab? no\r\n",
    )
    [exported] = cli("users", "export").output.splitlines()
    credentials = Cipher([os.environ["EAGLE_SECRET_KEYS"]]).open(
        "00ce69", json.loads(exported)["sealed"]
    )
    assert credentials.user_pw == "with spaces, ü and a tab? no"


@pytest.mark.parametrize(
    ("words", "stdin", "error", "message"),
    [
        (["add", "00ce6", "--email", "a@example.org"], PASSWORD, BadCloudId, "6 hex digits"),
        (["add", "00ce69", "--email", "a@example.org"], "", Permanent, "password is missing"),
        (["add", "00ce69", "--email", "a@example.org"], "\n", Permanent, "password is missing"),
        (
            ["add", "00ce69", "--email", "a@example.org"],
            f"{PASSWORD}\n{PASSWORD}\n",
            Permanent,
            "user_pw: must have",
        ),
        (
            ["add", "00ce69", "--email", "a@example.org"],
            f" {PASSWORD}\n",
            Permanent,
            "user_pw: must not begin or end with",
        ),
        (
            ["add", "00ce69", "--email", "a@example.org"],
            f"{PASSWORD}\u00a0\n",
            Permanent,
            "user_pw: must not begin or end",
        ),
        (
            ["add", "00ce69", "--email", "a@example.org"],
            b"\xff\xfe\n",
            Permanent,
            "user_pw: must be text in UTF-8",
        ),
        (
            ["add", "00ce69", "--email", "a@example.org"],
            "x" * 257,
            Permanent,
            "user_pw: must have 1 to 256",
        ),
        (
            ["add", "00ce69", "--email", "a@example.org "],
            PASSWORD,
            Permanent,
            "user_email: must not begin or end with",
        ),
        (
            ["add", "00ce69", "--email", "\udcff@example.org"],
            PASSWORD,
            Permanent,
            "user_email: must be text in UTF-8",
        ),
        (["add", "00ce69", "--email", ""], PASSWORD, Permanent, "user_email: must have"),
        (
            ["add", "00ce69", "--email", "a", "--price-interval", "0.5"],
            PASSWORD,
            Permanent,
            "price_interval: ",
        ),
        (
            ["add", "00ce69", "--email", "a", "--demand-interval", "nan"],
            PASSWORD,
            Permanent,
            "demand_interval: ",
        ),
        (
            ["add", "00ce69", "--email", "a", "--mac-id", "12:34"],
            PASSWORD,
            Permanent,
            "mac_id: must be a MAC",
        ),
        (["show", "xyz"], None, BadCloudId, "6 hex digits"),
        (["show", "00ce69"], None, UnknownUser, "there is no user 00ce69"),
        (["remove", "00ce69"], None, UnknownUser, "there is no user 00ce69"),
    ],
)
def test_a_wrong_argument_or_password_is_one_clear_line(
    cli: Cli, words: list[str], stdin: str | bytes | None, error: type[Exception], message: str
) -> None:
    result = cli("users", *words, stdin=stdin, fails=error)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert PASSWORD not in str(result.exception)


async def test_a_gateways_text_stays_on_its_line(cli: Cli, redis_url: str) -> None:
    await asyncio.to_thread(cli, "users", "import", "-", stdin=line("00ce69"))
    store = redis_store(redis_url, cipher=None)
    await store.schedule.request(["00ce69"])
    [claim] = await store.schedule.claim(["00ce69"], "worker")
    reason = "refused: [/bold] \x1b[2J\nffffff\tdue"
    state = UserState(failures=3, last_error=reason, parked=reason)
    await store.schedule.report([Report("00ce69", claim.token, state, Grid(6.0, 0.0))], {})
    await store.close()
    [row] = (await asyncio.to_thread(cli, "users", "list")).stdout.splitlines()
    assert row.split("\t")[:3] == [
        "00ce69",
        "parked: refused: [/bold] \ufffd[2J\ufffdffffff\ufffddue",
        "never",
    ]
    assert (
        "last error\trefused: [/bold] \ufffd[2J\ufffdffffff\ufffddue\n"
        in (await asyncio.to_thread(cli, "users", "show", "00ce69")).stdout
    )


async def fail_visits(redis_url: str, reasons: dict[str, str]) -> None:
    store = redis_store(redis_url, cipher=None)
    """One visit each. A reason other than `busy` parks the user."""
    for cloud_id, reason in reasons.items():
        await store.schedule.request([cloud_id])
        [claim] = await store.schedule.claim([cloud_id], "worker")
        parked = None if reason == "busy" else reason
        state = UserState(failures=3, last_error=reason, parked=parked)
        report = Report(cloud_id, claim.token, state, Grid(6.0, 0.0), 3600.0)
        await store.schedule.report([report], {})
    await store.close()


async def test_parked_users_are_woken_without_a_password(
    cli: Cli, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = "\n".join(line(f"00000{number}") for number in range(1, 6))
    await asyncio.to_thread(cli, "users", "import", "-", stdin=users)
    reasons = {
        "000001": "refused: 401",
        "000002": "refused: 401",
        "000003": "busy",
        "000004": "poison: 5 died",
    }
    await fail_visits(redis_url, reasons)
    monkeypatch.delenv("EAGLE_SECRET_KEYS")
    named = await asyncio.to_thread(
        cli, "users", "wake", "000005", "000001", "ffffff", fails=UnknownUser
    )
    assert named.output == "000001 woken\n000005 is not parked, nor does it wait after a failure\n"
    assert (await asyncio.to_thread(cli, "users", "wake", "--all")).output == "2 users woken\n"
    turns = {
        row.split("\t")[0]: row.split("\t")[1][:6]
        for row in (await asyncio.to_thread(cli, "users", "list")).output.splitlines()
    }
    assert turns == {
        **dict.fromkeys(("000001", "000002", "000003", "000005"), "due 20"),
        "000004": "parked",
    }
    assert (await asyncio.to_thread(cli, "users", "wake", "000004")).output == "000004 woken\n"


@pytest.mark.parametrize("words", [[], ["--all", "00ce69"]])
def test_waking_needs_either_names_or_all(environment: None, words: list[str]) -> None:
    result = CliRunner().invoke(main, ["users", "wake", *words])
    assert result.exit_code == 2
    assert "say --all" in result.output


def test_an_unknown_user_does_not_keep_others_from_being_removed(cli: Cli) -> None:
    cli("users", "import", "-", stdin=line("000001"))
    result = cli("users", "remove", "000002", "000001", fails=UnknownUser)
    assert result.output == "000001 removed\n"


def test_no_option_takes_a_password(cli: Cli) -> None:
    result = CliRunner().invoke(main, ["users", "add", "00ce69", "--email", "a", "--password", "x"])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_the_prompt_for_a_password_does_not_echo(environment: None) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "users", "add", "00ce69", "--email", "a@example.org"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True, start_new_session=True
    ) as process:
        os.close(theirs)
        output = b""
        while b"Password of 00ce69" not in output:
            output += os.read(ours, 1000)
        os.write(ours, f"{PASSWORD}\n".encode())
        while b"00ce69 added" not in output:
            output += os.read(ours, 1000)
        assert process.wait(30) == 0
    os.close(ours)
    assert PASSWORD.encode() not in output


def test_a_command_that_fails_shows_no_traceback(environment: None) -> None:
    done = subprocess.run(
        [*COMMAND, "users", "remove", "00ce69"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "there is no user 00ce69; `eagle-logger users list` shows all users\n"


# Many at once ---


def test_import_takes_good_lines_and_reports_bad_ones(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text(
        "\ufeff"
        + "\n".join(
            [
                line("000001", intervals={"demand": 10}, mac_id="0xD8D5B9000000ABCD"),
                line("00000Z"),
                "",
                line("000002", demand_interval=12.5, MacId="abcd"),
                f'{{"cloud_id": "000003", "user_pw": "{PASSWORD}"',
                f'{{"cloud_id": "000003", "user_pw": "{PASSWORD}"}}',
                line("000003", intervals={"demand": 0}),
                line("000003", intervals={"temperature": 10}),
                line("000003", colour="red"),
                line("000003", sealed="x"),
                line("000003", user_pw=f"{PASSWORD}\nHost: elsewhere"),
                f'["{PASSWORD}"]',
                line(3),
                line("000001", user_pw="a-later-one"),
                line("000004"),
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
    result = cli("users", "import", "-", stdin=b"\xff\xfe\x00\n" + line("000001").encode())
    assert (result.exit_code, result.stdout) == (
        1,
        "1 lines imported, 1 refused, 0 replaced an earlier one\n",
    )


def test_export_can_be_imported_again(cli: Cli, tmp_path: Path) -> None:
    lines = [line(f"{number:06x}", intervals={"price": 60}) for number in range(1200)]
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
    cli("users", "import", "-", stdin=line("000001"))
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
    cli("users", "import", "-", stdin=line("000002"))
    cli("users", "export", str(backup), fails=RedisUnavailable)
    assert backup.read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["backup.jsonl"]


def test_an_export_into_a_missing_directory_is_one_clear_message(cli: Cli, tmp_path: Path) -> None:
    result = cli("users", "export", str(tmp_path / "nowhere" / "backup.jsonl"))
    assert result.exit_code == 1
    assert "Could not open file" in result.stderr


def test_a_sealed_password_that_was_tampered_with_is_refused_alone(cli: Cli) -> None:
    cli("users", "import", "-", stdin="\n".join(line(f"00000{number}") for number in range(3)))
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


# Keys and shards ---


def test_only_commands_that_use_passwords_need_a_key(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("users", "import", "-", stdin=line("00ce69"))
    monkeypatch.delenv("EAGLE_SECRET_KEYS")
    for words in (
        ["users", "add", "000001", "--email", "a"],
        ["users", "import", "-"],
        ["keys", "rotate"],
    ):
        cli(*words, stdin=line("000001"), fails=NoSecretKey)
    for words in (
        ["users", "list"],
        ["users", "export"],
        ["users", "show", "00ce69"],
        ["shards", "show"],
        ["keys", "generate"],
    ):
        assert cli(*words).exit_code == 0
    assert cli("users", "remove", "00ce69").exit_code == 0


@pytest.mark.parametrize("key", ["too-short", "é" * 44, "x" * 43])
def test_a_malformed_key_is_named_by_its_variable_and_not_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("EAGLE_SECRET_KEYS", f"{new_key()}, {key}")
    result = cli("users", "add", "000001", "--email", "a", stdin="x", fails=ConfigurationError)
    assert "EAGLE_SECRET_KEYS: key 2 of 2 is not a Fernet key" in str(result.exception)
    assert key not in str(result.exception)


def test_rotating_keys_seals_each_password_with_the_newest(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = os.environ["EAGLE_SECRET_KEYS"], cli("keys", "generate").output.strip()
    cli("users", "import", "-", stdin="\n".join(line(f"{number:06x}") for number in range(20)))
    file = tmp_path / "keys"
    file.write_text(f"{new}\n{old}\n")
    monkeypatch.delenv("EAGLE_SECRET_KEYS")
    monkeypatch.setenv("EAGLE_SECRET_KEYS_FILE", str(file))
    assert cli("keys", "rotate").output.startswith("20 passwords encrypted anew")
    assert cli("keys", "rotate").output.startswith("0 passwords encrypted anew")
    file.write_text(new)
    assert "a@example.org" in cli("users", "show", "000007").output
    file.write_text(old)
    assert "no key for it here" in cli("users", "show", "000007").output
    result = cli("keys", "rotate", fails=NoSecretKey)
    assert str(result.exception).startswith("20 passwords can be decrypted with none of the keys")


def test_a_missing_key_file_is_named_by_its_setting(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EAGLE_SECRET_KEYS")
    monkeypatch.setenv("EAGLE_SECRET_KEYS_FILE", str(tmp_path / "missing"))
    assert "EAGLE_SECRET_KEYS_FILE" in str(
        cli("keys", "rotate", fails=ConfigurationError).exception
    )


def test_the_number_of_shards_is_set_and_shown(cli: Cli) -> None:
    assert cli("shards", "show").output.startswith("not agreed on yet")
    assert cli("shards", "set", "32").output.startswith("32 shards")
    assert cli("shards", "show").output == "32\n"
    assert cli("shards", "set", "0").exit_code == 2


def test_without_redis_the_error_names_the_address_but_no_password(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://:not-a-secret@127.0.0.1:1/0")
    result = cli("users", "list", fails=RedisUnavailable)
    assert "127.0.0.1:1" in str(result.exception)
    assert "not-a-secret" not in str(result.exception)
