"""`eagle-logger up` as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.polling import PATIENCE_S, wait_until
from tests.support.programs import environment_with

EAGLE_LOGGER = [sys.executable, str(Path(sys.executable).parent / "eagle-logger")]
HEADER = "In a second terminal:"


def environment(data: Path, **settings: str) -> dict[str, str]:
    """This process's environment with this data directory, these settings and no others."""
    return environment_with(**{"EAGLE_DATA_DIR": str(data), **settings})


def processes(data: Path) -> dict[int, str]:
    """pid → command line of every living process that was started for this data directory."""
    mark = f"EAGLE_DATA_DIR={data}\0".encode()
    commands = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (
                _works_in(entry, data) or mark in (entry / "environ").read_bytes() + b"\0"
            ):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                commands[int(entry.name)] = command
        except OSError:
            continue
    return {pid: command for pid, command in commands.items() if command and pid != os.getpid()}


def _works_in(entry: Path, data: Path) -> bool:
    """Redis overwrites its environment with its title, but it works in its own folder."""
    return (entry / "cwd").readlink().is_relative_to(data)


class Up:
    """One `eagle-logger up`, with its output in files beside the data directory. Leaving the
    context ends it and all that it started."""

    def __init__(self, data: Path, *arguments: str, **settings: str) -> None:
        self.data = data
        self._command = [*EAGLE_LOGGER, "up", "--data", str(data), *arguments]
        self._environment = environment(data, **settings)
        self._out, self._err = data.with_suffix(".out"), data.with_suffix(".err")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._out.open("w") as out, self._err.open("w") as err:
            # It gets its own session, as in a terminal.
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=err, start_new_session=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        wait_until(lambda: not processes(self.data))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def screen(self) -> str:
        return self._out.read_text() + self._err.read_text()

    def await_ready(self) -> None:
        self.await_line(re.escape(HEADER))

    def await_line(self, pattern: str) -> None:
        wait_until(
            lambda: re.search(pattern, self.screen) is not None or self.process.poll() is not None
        )
        assert re.search(pattern, self.screen), self.screen

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(PATIENCE_S)

    def summary(self) -> dict[str, Any]:
        """The last line of standard output."""
        return dict(json.loads(self._out.read_text().splitlines()[-1]))

    def deaths(self) -> list[Mapping[str, Any]]:
        path = self.data / "deaths.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pid(self, words: str) -> int:
        """The pid of the process whose command line contains these words; 0 if there is none."""
        return next((pid for pid, command in processes(self.data).items() if words in command), 0)
