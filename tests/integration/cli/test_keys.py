"""`eagle-logger keys`, and which commands need a key, on a real Redis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eagle_logger.errors import ConfigurationError, NoSecretKey
from eagle_logger.users.cipher import new_key
from tests.integration.cli.commands import Cli, user_line


def test_only_commands_that_use_passwords_need_a_key(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("users", "import", "-", stdin=user_line("00ce69"))
    monkeypatch.delenv("EAGLE_SECRET_KEYS")
    for words in (
        ["users", "add", "000001", "--email", "a"],
        ["users", "import", "-"],
        ["keys", "rotate"],
    ):
        cli(*words, stdin=user_line("000001"), fails=NoSecretKey)
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
    cli("users", "import", "-", stdin="\n".join(user_line(f"{number:06x}") for number in range(20)))
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
