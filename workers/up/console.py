"""What a person sees of `up`: plain lines, to any terminal or file."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from eagle_logger.settings import Settings
from workers.up.data_dir import FLOWER_PASSWORD
from workers.up.preparation import System
from workers.up.supervisor_log import ProcessEvent

_WIDEST = 300
"""Characters of a line that is quoted: a traceback inside a JSON line has thousands."""


class Console:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it now; what goes elsewhere is kept."""
        return self._stream.isatty()

    def say(self, text: str) -> None:
        """A line, with the time of day (UTC)."""
        self._write(f"{time.strftime('%H:%M:%S', time.gmtime())}  {text}")

    def header(self, lines: Iterable[str]) -> None:
        self._write("\n".join(["", *lines, ""]))

    def death(self, event: ProcessEvent, last_lines: Iterable[str]) -> None:
        self.say(f"{event.name} (pid {event.pid}) died: {event.status}")
        self.quote(last_lines)

    def quote(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._write(f"          | {line if len(line) <= _WIDEST else line[:_WIDEST] + '…'}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(
            OSError
        ):  # the terminal may be gone; the system is to stop in order all the same
            self._stream.write(text + "\n")
            self._stream.flush()


def where_everything_is(system: System, *, show_password: bool) -> list[str]:
    """What `up` says once: the places, and how to look from a second terminal."""
    settings = system.settings
    data = settings.data_dir.absolute()
    password = system.flower_password if show_password else f"in {data / FLOWER_PASSWORD}"
    lines = [
        f"data        {data}",
        f"logs        {settings.logs_dir.absolute()} (log files), {data / 'run' / 'log'} (what the programs write)",
        f"archive     {settings.archive}{_s3_place(system)}",
        f"redis       {settings.redis_address}",
        f"relay       {settings.relay_url}{_simulated(system)}",
        f"flower      http://127.0.0.1:{settings.flower_port}  user eagle, password {password}",
    ]
    if any(program.name == "bridge" for program in system.programs):
        lines.append(f"bridge      http://127.0.0.1:{settings.bridge_port}")
    if system.plan is not None and system.plan.with_aws:
        lines.append(
            f"sns, sqs    {system.plan.aws_url} (moto): {', '.join(settings.sns_topic_arns)}"
        )
    if settings.rotate_open_every is not None:
        every = f"{settings.rotate_open_every:g} s"
        lines.append(
            f"note        open hours are rotated too, every {every}, as further parts (EAGLE_ROTATE_OPEN_EVERY)"
        )
    return [*lines, *_second_terminal(settings)]


def _s3_place(system: System) -> str:
    plan = system.plan
    return (
        ""
        if plan is None
        else f"  at {plan.s3_url}, a strict S3 that keeps its objects in {plan.s3_directory}"
    )


def _simulated(system: System) -> str:
    plan = system.plan
    return "" if plan is None else f"  ({plan.homes} simulated homes; ledger {plan.ledger})"


def _second_terminal(settings: Settings) -> list[str]:
    return [
        "",
        "In a second terminal:",
        f"  export EAGLE_DATA_DIR={shlex.quote(str(settings.data_dir.absolute()))}{_path()}",
        "  eagle-logger status --watch          # users, queues, hours not yet archived",
        "  eagle-logger read CLOUD_ID           # what was logged, from wherever it lies",
        "  celery -A workers.app inspect active # what the workers do right now",
        "Ctrl-C stops it all, gracefully.",
    ]


def _path() -> str:
    """What a shell needs besides, unless it finds our commands already."""
    own = Path(sys.executable).parent
    found = shutil.which("eagle-logger")
    return "" if found and Path(found).parent == own else f" PATH={shlex.quote(str(own))}:$PATH"
