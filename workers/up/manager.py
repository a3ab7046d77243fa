"""supervisor as the process manager of `up`: it starts and stops programs when asked, restarts
those that die, and reports what happened."""

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

SUPERVISORD_LOG = "supervisord.log"
_MAX_SOCKET_PATH_BYTES = 80
"""The kernel's limit is about 104, and supervisor binds to a temporary name that is longer than the
final one."""
_SUPERVISOR_ANSWERS_WITHIN_S = 20.0
_WAITING_REPORTED_EVERY_S = 3.0
_STATES_OF_RUNNING = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}


class ManagerGone(EagleError):
    """The process manager itself ended, and every program with it. Start `eagle-logger up` again:
    it carries on."""


class Manager:
    """One supervisord and its programs. Use as a context: leaving it stops what still runs.

    `on_event` is called for each start and end, as it happens, from a thread of its own. If
    supervisord itself ends, every program that ran has died. `keep_open`: descriptors that
    supervisord inherits.
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
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._address = Path()
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(
            target=self._read_events, name="supervisor-events", daemon=True
        )
        self._transport: Any = None

    @property
    def log_dir(self) -> Path:
        return self._run / "log"

    def __enter__(self) -> Self:
        if not is_safe_path(self._run):
            raise ConfigurationError(
                f"{self._run}: a data directory's path must not hold '%', ' ;' or ' #'; "
                "name another with --data"
            )
        self.log_dir.mkdir(parents=True, exist_ok=True)
        (self._run / SUPERVISORD_LOG).unlink(missing_ok=True)
        self._address = self._choose_socket_path()
        self._write_configuration()
        self._start_supervisord()
        self._transport = SupervisorTransport(serverurl=f"unix://{self._address}")
        try:
            self._await_supervisor()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what still runs, last stage first, then supervisord."""
        process = self._process
        if process is not None:
            process.terminate()
            process.wait()
            self._reader.join()
            # Every event in the log has been reported, so the next `up` must not read them again.
            with contextlib.suppress(FileNotFoundError):
                (self._run / SUPERVISORD_LOG).replace(self._run / f"{SUPERVISORD_LOG}.1")
        self._transport.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, names: Iterable[str]) -> None:
        """Start these programs, and return without waiting for them. If one dies at once, that is
        reported like any other death."""
        for name in names:
            harmless = (Faults.ALREADY_STARTED, Faults.SPAWN_ERROR)
            self._call_supervisor("startProcess", name, False, harmless_faults=harmless)

    def replace(self, program: Program) -> None:
        """Change how this program is started from now on. It must not be running. Raises
        ManagerGone."""
        others = [other for other in self._programs if other.name != program.name]
        self._programs = [*others, program]
        self._write_configuration()
        self._call_supervisor("reloadConfig")
        self._call_supervisor("removeProcessGroup", program.name)
        self._call_supervisor("addProcessGroup", program.name)

    def stop(
        self, names: Iterable[str], *, waiting: Callable[[list[str]], None] | None = None
    ) -> None:
        """Stop these programs, all at once, and wait until they have ended. `waiting` is called
        every few seconds with the names of those that have not.

        A program that has not ended `stop_within` seconds after it was asked is killed; that is
        reported as its death.
        """
        wanted = set(names)
        for name in wanted:
            self._call_supervisor("stopProcess", name, False, harmless_faults=(Faults.NOT_RUNNING,))
        reported_at = time.monotonic()
        while left := sorted(wanted & self.running()):
            now = time.monotonic()
            if waiting is not None and now > reported_at + _WAITING_REPORTED_EVERY_S:
                reported_at = now
                waiting(left)
            time.sleep(0.05)

    def running(self) -> set[str]:
        """The names of all programs that run or will be started again. Raises ManagerGone.

        The call also wakes supervisord, which otherwise checks only once a second which programs it
        must start again.
        """
        return {
            info["name"]
            for info in self._call_supervisor("getAllProcessInfo")
            if info["statename"] in _STATES_OF_RUNNING
        }

    def pid(self, name: str) -> int:
        """The program's process id; 0 if it does not run."""
        return self._history.running.get(name, 0)

    def last_lines(self, name: str, count: int = 8) -> list[str]:
        """The last lines that a program wrote."""
        try:
            with (self.log_dir / f"{name}.log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
                return file.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def _call_supervisor(
        self, method: str, *arguments: Any, harmless_faults: Iterable[int] = ()
    ) -> Any:
        """Returns supervisor's answer; None for a fault with one of these codes. Raises
        ManagerGone."""
        supervisor = ServerProxy("http://localhost", transport=self._transport).supervisor
        try:
            return getattr(supervisor, method)(*arguments)
        except Fault as exc:
            if exc.faultCode not in harmless_faults:
                raise
            return None
        except (OSError, HTTPException, ProtocolError) as exc:
            self._transport.close()
            raise ManagerGone from exc

    @property
    def _configuration(self) -> Path:
        return self._run / "supervisord.conf"

    def _write_configuration(self) -> None:
        configuration = supervisor_configuration(
            self._programs, run=self._run, logs=self.log_dir, socket=self._address
        )
        write_private_file(self._configuration, configuration)

    def _start_supervisord(self) -> None:
        python = [sys.executable, "-m", supervisord_main.__name__]
        supervisord = [*python, "-n", "-c", str(self._configuration)]
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
                # A terminal's Ctrl-C must reach only `up`, which stops the programs in order.
                start_new_session=True,
                pass_fds=self._keep_open,
                text=True,
            )
        self._reader.start()

    def _read_events(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        with process.stdout as log:
            for event in self._history.read(log):
                self._on_event(event)
        for name, pid in sorted(self._history.running.items()):
            self._on_event(ProcessEvent(DIED, name, time.time(), pid, "died with supervisor"))

    def _await_supervisor(self) -> None:
        until = time.monotonic() + _SUPERVISOR_ANSWERS_WITHIN_S
        while self.is_alive and time.monotonic() < until:
            with contextlib.suppress(ManagerGone):
                self._call_supervisor("getState")
                return
            time.sleep(0.02)
        raise ManagerGone(
            f"supervisor did not start: {(self._run / 'supervisord.err').read_text().strip()}"
        )

    def _choose_socket_path(self) -> Path:
        address = self._run / "supervisor.sock"
        if len(os.fsencode(address)) <= _MAX_SOCKET_PATH_BYTES:
            return address
        self._temporary = tempfile.TemporaryDirectory(prefix="eagle-")
        return Path(self._temporary.name) / "supervisor.sock"
