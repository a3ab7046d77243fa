"""What somebody at a keyboard sees when something goes wrong."""

from __future__ import annotations

import errno
import os

import pytest
from click.testing import CliRunner

from eagle_logger.cli import main as command_line
from eagle_logger.errors import BadCloudId, ConfigurationError


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
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
def test_what_can_be_foreseen_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: Exception,
    code: int,
    said: str,
) -> None:
    _fail_with(wrong, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        command_line.run()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize("mistake", [KeyError("ours"), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_mistake_of_ours_shows_where_it_was_made(
    monkeypatch: pytest.MonkeyPatch, mistake: Exception
) -> None:
    _fail_with(mistake, monkeypatch)
    with pytest.raises(type(mistake)):
        command_line.run()


@pytest.mark.parametrize(
    "words", [[], ["users"], ["keys"], ["shards"]], ids=lambda words: " ".join(words) or "all"
)
def test_what_a_command_is_for_is_said_to_the_end(words: list[str]) -> None:
    said = CliRunner().invoke(command_line.main, [*words, "--help"], terminal_width=80).output
    assert "Commands:" in said
    assert "..." not in said.partition("Commands:")[2]


def _fail_with(wrong: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise wrong

    monkeypatch.setattr(command_line, "main", fail)
