"""What a person at a keyboard sees when a command fails."""

from __future__ import annotations

import errno
import os

import pytest
from click.testing import CliRunner

from eagle_logger.cli import main as command_line
from eagle_logger.errors import BadCloudId, ConfigurationError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigurationError("EAGLE_SHARDS: no"), 2, "EAGLE_SHARDS: no"),
        (BadCloudId("xyz is none"), 1, "xyz is none"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/logs"),
            1,
            "/data/logs: Permission denied; `eagle-logger doctor` looks at disk and rights",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            1,
            "the disk: No space left on device; `eagle-logger doctor` looks at disk and rights",
        ),
    ],
)
def test_a_foreseen_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    message: str,
) -> None:
    _fail_with(error, monkeypatch)
    with pytest.raises(SystemExit) as ending:
        command_line.run()
    assert ending.value.code == code
    assert capsys.readouterr().err == f"{message}\n"


@pytest.mark.parametrize("bug", [KeyError("name"), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_bug_shows_a_traceback(monkeypatch: pytest.MonkeyPatch, bug: Exception) -> None:
    _fail_with(bug, monkeypatch)
    with pytest.raises(type(bug)):
        command_line.run()


@pytest.mark.parametrize(
    "words", [[], ["users"], ["keys"], ["shards"]], ids=lambda words: " ".join(words) or "all"
)
def test_a_list_of_commands_cuts_no_sentence_off(words: list[str]) -> None:
    page = CliRunner().invoke(command_line.main, [*words, "--help"], terminal_width=80).output
    assert "Commands:" in page
    assert "..." not in page.partition("Commands:")[2]


def _fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "main", fail)
