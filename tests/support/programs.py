"""The system's programs as processes, with their output in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from eagle_logger.users.cipher import new_key
from tests.support.polling import PATIENCE_S

WORKER = ("worker", "-n", "dispatcher@%h", "-Q", "dispatch,adhoc", "-P", "threads", "-c", "4")
BEAT = ("beat", "--pidfile=")


def environment_with(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of eagle_logger and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EAGLE_")}
    return clean | settings


def settings_of_workers(redis_url: str, data: Path) -> dict[str, str]:
    """What a worker needs at least, with a key of its own."""
    return {
        "EAGLE_REDIS_URL": redis_url,
        "EAGLE_DATA_DIR": str(data),
        "EAGLE_SECRET_KEYS": new_key(),
        "EAGLE_LOG_FORMAT": "json",
    }


def run_to_end(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command, whatever its exit code; returns that and what it printed."""
    return subprocess.run(
        command,
        env=env,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


class Programs:
    """A test starts them one by one; leaving the context kills those that still run. Their names
    are those under which they report progress."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory, self._settings = directory, settings
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def celery(self, name: str, *arguments: str, **environment: str) -> None:
        """Start `celery -A workers.app …`."""
        self.python(name, "-m", "celery", "-A", "workers.app", *arguments, **environment)

    def python(self, name: str, *arguments: str, **environment: str) -> None:
        with self._file(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment_with(
                    **{**self._settings, "EAGLE_PROCESS_NAME": name, **environment}
                ),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def output(self, name: str) -> str:
        return self._file(name).read_text(errors="replace")

    def exit_status(self, name: str, within: float = PATIENCE_S) -> int:
        return self._running[name].wait(within)

    def runs(self, name: str) -> bool:
        return self._running[name].poll() is None

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}.log"
