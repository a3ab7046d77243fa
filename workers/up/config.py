"""supervisor's configuration for the programs of `up`. Pure."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from workers.up.programs import Program

_STARTED_AFTER_S = 5
"""A program that ends sooner after its start has not started. The pause before each further try is
a second longer."""
_MAX_STARTS = 5
"""After so many failed starts in a row, supervisor gives the program up."""

_EXEC_WITH_PARENT = Path(__file__).with_name("exec_with_parent.py")
_LOG_BYTES = "10MB"
_LOG_BACKUPS = 3


def child_command(signal_name: str, command: Iterable[str]) -> list[str]:
    """The command line that starts a program and has the kernel send it this signal (such as KILL)
    when its parent ends."""
    return [sys.executable, "-I", "-S", str(_EXEC_WITH_PARENT), signal_name, *command]


def supervisor_configuration(
    programs: Iterable[Program], *, run: Path, logs: Path, socket: Path
) -> str:
    """The content of supervisord.conf. supervisor keeps its own files in `run`, and the programs'
    output in `logs`. All paths are absolute.

    No program starts by itself: `up` starts each one, and supervisor restarts it from then on.
    """
    sections = [
        _supervisor_sections(run, socket),
        *(_program_section(program, logs) for program in programs),
    ]
    return "\n".join(sections)


def is_safe_path(path: Path) -> bool:
    """Whether supervisor reads this path in its configuration as it is. ` ;` and ` #` begin a
    comment there wherever they stand, and supervisor expands `%` in a path twice."""
    return not any(mark in str(path) for mark in ("%", " ;", " #", "\n", "\t"))


def _supervisor_sections(run: Path, socket: Path) -> str:
    return f"""\
[unix_http_server]
file={_escape(socket)}
chmod=0600

[supervisord]
nodaemon=true
loglevel=info
logfile={_escape(run / "supervisord.log")}
logfile_maxbytes=0
pidfile={_escape(run / "supervisord.pid")}
childlogdir={_escape(run)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program_section(program: Program, logs: Path) -> str:
    environment = {"EAGLE_PROCESS_NAME": program.name, **program.environment}
    variables = ",".join(f'{name}="{value}"' for name, value in environment.items())
    return f"""\
[program:{program.name}]
command={_escape(shlex.join(child_command("KILL", program.command)))}
environment={_escape(variables)}
priority={int(program.stage)}
autostart=false
autorestart=true
startsecs={_STARTED_AFTER_S}
startretries={_MAX_STARTS - 1}
stopsignal=TERM
stopwaitsecs={math.ceil(program.stop_within)}
killasgroup=true
redirect_stderr=true
stdout_logfile={_escape(logs / f"{program.name}.log")}
stdout_logfile_maxbytes={_LOG_BYTES}
stdout_logfile_backups={_LOG_BACKUPS}
"""


def _escape(value: object) -> str:
    return str(value).replace("%", "%%")
