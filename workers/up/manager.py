"""supervisor as our process manager: starts and stops programs when asked, restarts what dies, and
tells what happened."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from eagle_logger.errors import ConfigurationError, EagleError
from workers.up import supervisord_main
from workers.up.config import child_command, is_safe_path, supervisor_configuration
from workers.up.data_dir import write_private_file
from workers.up.exec_with_parent import PARENT
from workers.up.programs import Program
from workers.up.supervisor_log import DIED, ProcessEvent, ProcessLog

LOG = "supervisord.log"
_LONGEST_SOCKET_PATH = 80
"""Bytes; the system's limit is about 104, and supervisor binds to a temporary name that is longer
than the final one."""
_PATIENCE = 20.0
_PATIENCE_BETWEEN_WORDS = 3.0
_RUNNING = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}


class ManagerGone(EagleError):
    """The process manager itself ended, and everything with it. Start `eagle-logger up` again: it
    carries on."""


class Manager:
    """One supervisord and its programs. Use as a context: leaving it stops whatever still runs.

    `on_event` is called, from a thread of its own, for each start and end as it happens; the end of
    supervisord itself is told as the death of every program that ran.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        data_dir: Path,
        environment: Mapping[str, str],
        on_event: Callable[[ProcessEvent], None],
        *,
        keep_open: Iterable[int] = (),
    ) -> None:
        self._programs = list(programs)
        self._run = data_dir.absolute() / "run"
        self._environment = dict(environment)
        self._on_event = on_event
        self._keep_open = tuple(keep_open)
        self._history = ProcessLog()
        self._ending = False
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._address = Path()
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, name="supervisor-events", daemon=True)
        self._transport: Any = None

    @property
    def log_dir(self) -> Path:
        return self._run / "log"

    def __enter__(self) -> Self:
        if not is_safe_path(self._run):
            raise ConfigurationError(
                f"{self._run}: a data directory's path must not hold '%', ' ;' or ' #'; name another with --data"
            )
        self.log_dir.mkdir(parents=True, exist_ok=True)
        (self._run / LOG).unlink(missing_ok=True)
        self._address = self._socket()
        self._configure()
        self._spawn(self._configuration)
        self._transport = SupervisorTransport(serverurl=f"unix://{self._address}")
        try:
            self._await_supervisor()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what still runs, last stage first, then supervisord."""
        self._ending = True
        process = self._process
        if process is not None:
            process.terminate()
            process.wait()
            self._reader.join()
            # All that it says has been told: whoever comes next need not read it again.
            with contextlib.suppress(FileNotFoundError):
                (self._run / LOG).replace(self._run / f"{LOG}.1")
        self._transport.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, names: Iterable[str]) -> None:
        """Start these programs and return; that one dies at once is told like any other death."""
        for name in names:
            self._call(
                "startProcess", name, False, but_for=(Faults.ALREADY_STARTED, Faults.SPAWN_ERROR)
            )

    def replace(self, program: Program) -> None:
        """Change how this program is started from now on. It must not be running. Raises
        ManagerGone."""
        self._programs = [program if one.name == program.name else one for one in self._programs]
        self._configure()
        self._call("reloadConfig")
        self._call("removeProcessGroup", program.name)
        self._call("addProcessGroup", program.name)

    def stop(
        self, names: Iterable[str], *, waiting: Callable[[list[str]], None] | None = None
    ) -> None:
        """Stop these programs, all at once, and wait until they have ended. `waiting` is told every
        few seconds who has not.

        A program that is still there `stop_within` seconds after it was told is killed, which is
        told as its death.
        """
        wanted = set(names)
        for name in wanted:
            self._call("stopProcess", name, False, but_for=(Faults.NOT_RUNNING,))
        told = time.monotonic()
        while still := sorted(wanted & self.running()):
            if waiting is not None and time.monotonic() > told + _PATIENCE_BETWEEN_WORDS:
                told = time.monotonic()
                waiting(still)
            time.sleep(0.05)

    def running(self) -> set[str]:
        """The names of all programs that run or will be started again. Raises ManagerGone.

        Asking also wakes supervisord, which else looks only once a second who has to be started
        again.
        """
        return {
            info["name"]
            for info in self._call("getAllProcessInfo")
            if info["statename"] in _RUNNING
        }

    def pid(self, name: str) -> int:
        """0 when it does not run."""
        return self._history.running.get(name, 0)

    def last_lines(self, name: str, count: int = 8) -> list[str]:
        """The end of what a program wrote."""
        try:
            with (self.log_dir / f"{name}.log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
                return file.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def _call(self, method: str, *arguments: Any, but_for: Iterable[int] = ()) -> Any:
        """What supervisor answers; None for a fault of the given codes. Raises ManagerGone."""
        try:
            return getattr(
                ServerProxy("http://localhost", transport=self._transport).supervisor, method
            )(*arguments)
        except Fault as exc:
            if exc.faultCode not in but_for:
                raise
            return None
        except (OSError, HTTPException, ProtocolError) as exc:
            self._transport.close()
            raise ManagerGone from exc

    @property
    def _configuration(self) -> Path:
        return self._run / "supervisord.conf"

    def _configure(self) -> None:
        text = supervisor_configuration(
            self._programs, run=self._run, logs=self.log_dir, socket=self._address
        )
        write_private_file(self._configuration, text)

    def _spawn(self, configuration: Path) -> None:
        supervisord = [
            sys.executable,
            "-m",
            supervisord_main.__name__,
            "-n",
            "-c",
            str(configuration),
        ]
        with (self._run / "supervisord.err").open("w") as complaints:
            self._process = subprocess.Popen(
                child_command("TERM", supervisord),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={
                    **self._environment,
                    PARENT: str(os.getpid()),
                    "TZ": "UTC",
                    "PYTHONUNBUFFERED": "1",
                },
                # A terminal's Ctrl-C is for us alone: we stop the programs in their order.
                start_new_session=True,
                pass_fds=self._keep_open,
                text=True,
            )
        self._reader.start()

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        with process.stdout as log:
            for event in self._history.read(log):
                self._on_event(event)
        for name, pid in sorted(self._history.running.items()):
            self._on_event(ProcessEvent(DIED, name, time.time(), pid, "died with supervisor"))

    def _await_supervisor(self) -> None:
        until = time.monotonic() + _PATIENCE
        while self.alive and time.monotonic() < until:
            with contextlib.suppress(ManagerGone):
                self._call("getState")
                return
            time.sleep(0.02)
        raise ManagerGone(
            f"supervisor did not start: {(self._run / 'supervisord.err').read_text().strip()}"
        )

    def _socket(self) -> Path:
        address = self._run / "supervisor.sock"
        if len(os.fsencode(address)) <= _LONGEST_SOCKET_PATH:
            return address
        self._temporary = tempfile.TemporaryDirectory(prefix="eagle-")
        return Path(self._temporary.name) / "supervisor.sock"
