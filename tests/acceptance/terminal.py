"""A reader's terminal, in which a test types the commands of a page as they stand there."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
from collections.abc import Container
from pathlib import Path
from typing import Self

from tests.support.polling import PATIENCE_S, wait_until
from tests.support.programs import environment_with, run_to_end

# 0 chooses free ports; the ordinary ones may be in use on this machine.
SETTINGS = {"EAGLE_BRIDGE_PORT": "0", "EAGLE_FLOWER_PORT": "0"}


ANY = range(256)
"""Any exit code."""


class Terminal:
    """A shell in a folder. It starts with `settings`, and keeps exported variables from one command
    to the next."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder, self._started = folder, list[Running]()
        self._environment = environment_with(
            **{**SETTINGS, "HOME": str(folder), "PYTHONWARNINGS": "ignore", **settings}
        )

    def export(self, command: str) -> None:
        output = self.enter(f"{command}; env -0")
        self._environment = dict(one.split("=", 1) for one in output.split("\0") if "=" in one)

    def enter(self, command: str, *, keys: str = "", codes: Container[int] = (0,)) -> str:
        """Run a command; return its output."""
        done = run_to_end(
            ["bash", "-c", command], cwd=self._folder, env=self._environment, stdin=keys
        )
        assert done.returncode in codes, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done.stdout

    def enter_until(self, command: str, pattern: str) -> re.Match[str]:
        """Run a command again and again, until its output has this pattern; return the match. On a
        busy machine, `celery` hears of no worker within its second, and fails."""
        printed = ""

        def is_printed() -> bool:
            nonlocal printed
            printed = self.enter(command, codes=ANY)
            return re.search(pattern, printed) is not None

        wait_until(is_printed)
        match = re.search(pattern, printed)
        assert match
        return match

    def answer(self, command: str, question: str, words: str) -> str:
        """Run a command on a terminal and type `words` once it has asked `question`. Returns what
        the terminal shows."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            seen, asked = b"", False
            with contextlib.suppress(OSError):  # reading fails when the command has ended
                while more := os.read(ours, 65536):
                    seen += more
                    if question.encode() in seen and not asked:
                        os.write(ours, f"{words}\n".encode())
                        asked = True
            os.close(ours)
            assert process.wait(PATIENCE_S) == 0, seen
        return seen.decode()

    def start(self, command: str) -> Running:
        self._started.append(Running(command, self._folder, self._environment))
        return self._started[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._started:
            running.kill()


class Running:
    """A command that runs in a terminal until Ctrl-C."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._output = folder / f"screen-{len(list(folder.glob('screen-*')))}"
        with self._output.open("w") as file:
            # A terminal starts its commands with the default action for SIGINT.
            self._process = subprocess.Popen(
                ["bash", "-c", f"exec env --default-signal=INT {command}"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def screen(self) -> str:
        return self._output.read_text()

    def await_line(self, pattern: str) -> str:
        wait_until(
            lambda: re.search(pattern, self.screen) is not None or self._process.poll() is not None
        )
        line = re.search(pattern, self.screen)
        assert line, self.screen
        return line[0]

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def control_c(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(PATIENCE_S)
        assert "Traceback" not in self.screen, self.screen
