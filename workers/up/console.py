"""What people see of `up`: plain lines, on a terminal or in a file."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from workers.up.data_dir import FLOWER_PASSWORD
from workers.up.preparation import System
from workers.up.supervisor_log import ProcessEvent

_MAX_QUOTED_CHARACTERS = 300
"""Of one line. A line of JSON with a traceback in it has thousands."""


class Console:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """Whether the lines go to a terminal. In a file they would be kept, and a password with
        them."""
        return self._stream.isatty()

    def say(self, message: str) -> None:
        """Write a line that begins with the time of day (UTC)."""
        self._write(f"{time.strftime('%H:%M:%S', time.gmtime())}  {message}")

    def header(self, lines: Iterable[str]) -> None:
        self._write("\n".join(["", *lines, ""]))

    def report_death(self, event: ProcessEvent, last_lines: Iterable[str]) -> None:
        self.say(f"{event.name} (pid {event.pid}) died: {event.status}")
        self.quote(last_lines)

    def quote(self, lines: Iterable[str]) -> None:
        for line in lines:
            is_long = len(line) > _MAX_QUOTED_CHARACTERS
            self._write(f"          | {line[:_MAX_QUOTED_CHARACTERS]}{'…' if is_long else ''}")

    def _write(self, text: str) -> None:
        # If the terminal is gone, the system must still stop in order.
        with contextlib.suppress(OSError):
            self._stream.write(text + "\n")
            self._stream.flush()


def describe_system(system: System, *, show_password: bool) -> list[str]:
    """The lines that `up` prints once everything is ready: where everything is, and how to look at
    it from a second terminal."""
    settings = system.settings
    data = settings.data_dir.absolute()
    password = system.flower_password if show_password else f"in {data / FLOWER_PASSWORD}"
    log_files, output = settings.logs_dir.absolute(), data / "run" / "log"
    lines = [
        f"data        {data}",
        f"logs        {log_files} (log files), {output} (what the programs write)",
        f"archive     {settings.archive}{_describe_s3(system)}",
        f"redis       {settings.redis_address}",
        f"relay       {settings.relay_url}{_describe_homes(system)}",
        f"flower      http://127.0.0.1:{settings.flower_port}  user eagle, password {password}",
    ]
    if any(program.name == "bridge" for program in system.programs):
        lines.append(f"bridge      http://127.0.0.1:{settings.bridge_port}")
    simulators = system.simulators
    if simulators is not None and simulators.with_aws:
        topics = ", ".join(settings.sns_topic_arns)
        lines.append(f"sns, sqs    {simulators.aws_url} (moto): {topics}")
    if settings.rotate_open_every is not None:
        lines.append(
            f"note        open hours are archived too, every {settings.rotate_open_every:g} s, "
            "as further parts (EAGLE_ROTATE_OPEN_EVERY)"
        )
    return [*lines, *_describe_second_terminal(system)]


def _describe_s3(system: System) -> str:
    if (setup := system.simulators) is None:
        return ""
    return f"  at {setup.s3_url}, a strict S3 that keeps its objects in {setup.s3_directory}"


def _describe_homes(system: System) -> str:
    if (setup := system.simulators) is None:
        return ""
    return f"  ({setup.homes} simulated homes; ledger {setup.ledger})"


def _describe_second_terminal(system: System) -> list[str]:
    data_dir = shlex.quote(str(system.settings.data_dir.absolute()))
    adding = "  eagle-logger users add CLOUD_ID --email ADDRESS   # asks for the password"
    return [
        "",
        "In a second terminal:",
        f"  export EAGLE_DATA_DIR={data_dir}{_path_variable()}",
        *([adding] if system.simulators is None else []),
        "  eagle-logger status --watch             # users, queues, hours not yet archived",
        "  eagle-logger read CLOUD_ID              # its readings, from the disk and the archive",
        "  celery -A workers.app inspect active    # what the workers are doing now",
        "Ctrl-C stops it all, gracefully.",
    ]


def _path_variable() -> str:
    """The PATH that a shell needs; empty if it finds the commands of this installation already."""
    folder = Path(sys.executable).parent
    command = shutil.which("eagle-logger")
    if command and Path(command).parent == folder:
        return ""
    return f" PATH={shlex.quote(str(folder))}:$PATH"
