from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eagle_logger.cli.main import main
from eagle_logger.users.cipher import new_key
from tests.integration.cli.commands import PASSWORD, Cli


@pytest.fixture
def settings_of_test(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has a Redis, a data directory and a key, and no other setting."""
    for name in [name for name in os.environ if name.startswith("EAGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EAGLE_REDIS_URL", redis_url)
    monkeypatch.setenv("EAGLE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EAGLE_SECRET_KEYS", new_key())


@pytest.fixture
def cli(settings_of_test: None) -> Cli:
    """Runs a command. It must end without an exception, or with one of the type `fails`."""

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
