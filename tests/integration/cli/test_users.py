"""`eagle-logger users`, one user at a time, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess

import pytest
from click.testing import CliRunner

from eagle_logger.cli.main import main
from eagle_logger.core.schedule import Grid
from eagle_logger.core.users import UserState
from eagle_logger.errors import BadCloudId, Permanent, RedisUnavailable, UnknownUser
from eagle_logger.users.cipher import Cipher
from eagle_logger.users.redis.store import redis_store
from eagle_logger.users.store import Report
from tests.integration.cli.commands import COMMAND, PASSWORD, Cli, user_line
from tests.support.programs import run_to_end


def test_a_user_is_added_shown_listed_and_removed(cli: Cli) -> None:
    options = "--email owner@example.org --demand-interval 10 --mac-id D8D5B9000000ABCD"
    words = ("users", "add", "00CE69", *options.split())
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
    assert cli("users", "import", "-", stdin=user_line(spelling)).output.startswith(
        "1 lines imported"
    )
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


ADD = ["add", "00ce69", "--email", "a@example.org"]


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("", "password is missing"),
        ("\n", "password is missing"),
        (f"{PASSWORD}\n{PASSWORD}\n", "user_pw: must have"),
        (f" {PASSWORD}\n", "user_pw: must not begin or end with"),
        (f"{PASSWORD}\u00a0\n", "user_pw: must not begin or end"),
        (b"\xff\xfe\n", "user_pw: must be text in UTF-8"),
        ("x" * 257, "user_pw: must have 1 to 256"),
    ],
)
def test_a_password_that_no_request_could_carry_is_refused(
    cli: Cli, password: str | bytes, message: str
) -> None:
    result = cli("users", *ADD, stdin=password, fails=Permanent)
    assert_one_clear_line(result.exception, message)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["add", "00ce6", "--email", "a@example.org"], BadCloudId, "6 hex digits"),
        ([*ADD[:3], "a@example.org "], Permanent, "user_email: must not begin or end with"),
        ([*ADD[:3], "\udcff@example.org"], Permanent, "user_email: must be text in UTF-8"),
        ([*ADD[:3], ""], Permanent, "user_email: must have"),
        ([*ADD, "--price-interval", "0.5"], Permanent, "price_interval: "),
        ([*ADD, "--demand-interval", "nan"], Permanent, "demand_interval: "),
        ([*ADD, "--mac-id", "12:34"], Permanent, "mac_id: must be a MAC"),
        (["show", "xyz"], BadCloudId, "6 hex digits"),
        (["show", "00ce69"], UnknownUser, "there is no user 00ce69"),
        (["remove", "00ce69"], UnknownUser, "there is no user 00ce69"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(
    cli: Cli, words: list[str], error: type[Exception], message: str
) -> None:
    result = cli("users", *words, stdin=PASSWORD, fails=error)
    assert_one_clear_line(result.exception, message)


def assert_one_clear_line(error: BaseException | None, message: str) -> None:
    assert message in str(error)
    assert "\n" not in str(error)
    assert PASSWORD not in str(error)


async def test_a_gateways_text_stays_on_its_line(cli: Cli, redis_url: str) -> None:
    await asyncio.to_thread(cli, "users", "import", "-", stdin=user_line("00ce69"))
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
    users = "\n".join(user_line(f"00000{number}") for number in range(1, 6))
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
def test_waking_needs_either_names_or_all(settings_of_test: None, words: list[str]) -> None:
    result = CliRunner().invoke(main, ["users", "wake", *words])
    assert result.exit_code == 2
    assert "say --all" in result.output


def test_an_unknown_user_does_not_keep_others_from_being_removed(cli: Cli) -> None:
    cli("users", "import", "-", stdin=user_line("000001"))
    result = cli("users", "remove", "000002", "000001", fails=UnknownUser)
    assert result.output == "000001 removed\n"


def test_no_option_takes_a_password(cli: Cli) -> None:
    result = CliRunner().invoke(main, ["users", "add", "00ce69", "--email", "a", "--password", "x"])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_the_prompt_for_a_password_does_not_echo(settings_of_test: None) -> None:
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


def test_a_command_that_fails_shows_no_traceback(settings_of_test: None) -> None:
    done = run_to_end([*COMMAND, "users", "remove", "00ce69"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "there is no user 00ce69; `eagle-logger users list` shows all users\n"


def test_without_redis_the_error_names_the_address_but_no_password(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAGLE_REDIS_URL", "redis://:not-a-secret@127.0.0.1:1/0")
    result = cli("users", "list", fails=RedisUnavailable)
    assert "127.0.0.1:1" in str(result.exception)
    assert "not-a-secret" not in str(result.exception)
