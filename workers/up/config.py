"""supervisor's configuration for our programs. Pure."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from workers.up.programs import Program

STARTING_SECONDS = 5
"""A program that ends sooner after its start has not really started: the next try waits a second
longer each time."""
TRIES = 5
"""So many such deaths in a row, and it is given up."""

_CHILD = Path(__file__).with_name("exec_with_parent.py")
_LOG_BYTES = "10MB"
_LOG_BACKUPS = 3


def child_command(signal_name: str, command: Iterable[str]) -> list[str]:
    """The command line that ties a program's life to its parent's."""
    return [sys.executable, "-I", "-S", str(_CHILD), signal_name, *command]


def supervisor_configuration(
    programs: Iterable[Program], *, run: Path, logs: Path, socket: Path
) -> str:
    """`run` and `logs` are where supervisor keeps its own files and the programs' output; all paths
    absolute.

    Nothing starts by itself: whoever asks for it starts each program in its turn, and from then on
    it is restarted.
    """
    sections = [_supervisor(run, socket), *(_program(program, logs) for program in programs)]
    return "\n".join(sections)


def is_safe_path(path: Path) -> bool:
    """In supervisor's configuration ` ;` and ` #` begin a comment wherever they stand, and a path's
    `%` is expanded twice."""
    return not any(mark in str(path) for mark in ("%", " ;", " #", "\n", "\t"))


def _supervisor(run: Path, socket: Path) -> str:
    return f"""\
[unix_http_server]
file={_text(socket)}
chmod=0600

[supervisord]
nodaemon=true
loglevel=info
logfile={_text(run / "supervisord.log")}
logfile_maxbytes=0
pidfile={_text(run / "supervisord.pid")}
childlogdir={_text(run)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(program: Program, logs: Path) -> str:
    environment = {"EAGLE_PROCESS_NAME": program.name, **program.environment}
    return f"""\
[program:{program.name}]
command={_text(shlex.join(child_command("KILL", program.command)))}
environment={_text(",".join(f'{name}="{value}"' for name, value in environment.items()))}
priority={int(program.stage)}
autostart=false
autorestart=true
startsecs={STARTING_SECONDS}
startretries={TRIES - 1}
stopsignal=TERM
stopwaitsecs={math.ceil(program.stop_within)}
killasgroup=true
redirect_stderr=true
stdout_logfile={_text(logs / f"{program.name}.log")}
stdout_logfile_maxbytes={_LOG_BYTES}
stdout_logfile_backups={_LOG_BACKUPS}
"""


def _text(value: object) -> str:
    return str(value).replace("%", "%%")
