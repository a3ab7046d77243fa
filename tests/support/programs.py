"""The system's programs as processes, with their output in files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.polling import PATIENCE_S

WORKER = ("worker", "-n", "dispatcher@%h", "-Q", "dispatch,adhoc", "-P", "threads", "-c", "4")
BEAT = ("beat", "--pidfile=")


class Programs:
    """A test starts them one by one; leaving the context kills those that still run."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory, self._environment = directory, {**os.environ, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def celery(self, name: str, *arguments: str, **environment: str) -> None:
        """Start `celery -A workers.app …`."""
        command = [sys.executable, "-m", "celery", "-A", "workers.app", *arguments]
        with self._file(name).open("wb") as output:
            self._running[name] = subprocess.Popen(
                command,
                env={**self._environment, **environment},
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
        process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._running):
            self.kill(name)

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.log"
