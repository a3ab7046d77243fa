"""What happens to the programs of `up`: they die, are given up, start again, move to other
ports."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from queue import Empty, SimpleQueue

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from eagle_logger.errors import EagleError
from workers.up.console import Console
from workers.up.data_dir import leave_sign_of_life, note_given_up
from workers.up.manager import Manager
from workers.up.measured_run.deaths import Deaths
from workers.up.preparation import System, has_taken_port, move_to_free_ports
from workers.up.programs import AWS
from workers.up.readiness import answers
from workers.up.restarts import Restarts
from workers.up.simulators import create_topic_and_queue
from workers.up.supervisor_log import DIED, GAVE_UP, STARTED, ProcessEvent

TICK_S = 0.2
_PORT_IN_USE = os.strerror(errno.EADDRINUSE)
"""What a program writes before it dies of a port that another one has taken."""

Inbox = SimpleQueue[ProcessEvent | int]
"""Events of programs, and the numbers of signals that ask `up` to stop."""


class StartupFailed(EagleError):
    """A program keeps dying, so everything was stopped."""


class StopRequested(Exception):
    """A signal asked for the end while the system is still starting."""


class ProgramWatch:
    """Handles what comes through the inbox, and what a program that was given up needs later."""

    def __init__(
        self, system: System, manager: Manager, console: Console, inbox: Inbox, deaths: Deaths
    ) -> None:
        self.system = system
        """Changes when a program moves to another port."""
        self.stop_requested = False
        self._manager = manager
        self._console = console
        self._inbox = inbox
        self._deaths = deaths
        self._restarts = Restarts()
        self._is_stopping = False
        self._aws_is_empty = False

    @property
    def given_up(self) -> list[str]:
        """The names of the programs that keep dying."""
        return self._restarts.troubled

    def attend_for(self, seconds: float) -> None:
        """Handle what happens during this time. Return earlier if a signal asks for the end. Raises
        StartupFailed, ManagerGone."""
        until = time.monotonic() + seconds
        while not self.stop_requested and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                self._handle_item(self._inbox.get(timeout=min(TICK_S, left)))
            # Asking what runs also wakes supervisord, so that it restarts a dead program at once.
            self._manager.running()
            leave_sign_of_life(self.system.settings.data_dir)
            self._deaths.write()
            self._refill_aws()
            self._restart_given_up()

    def check_still_wanted(self) -> None:
        """Handle what has happened. Raises StopRequested, StartupFailed, ManagerGone."""
        self.handle_waiting_items()
        self._manager.running()
        if self.stop_requested:
            raise StopRequested

    def handle_waiting_items(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._handle_item(self._inbox.get_nowait())

    def expect_the_end(self) -> None:
        """From now on, no program is given up or started again."""
        self._is_stopping = self.stop_requested = True

    def write_given_up(self) -> None:
        """Write the names of the programs that keep dying for `eagle-logger doctor`. They may die
        because the disk is full; that must not end the other programs."""
        with contextlib.suppress(OSError):
            note_given_up(self.system.settings.data_dir, self.given_up)

    def _handle_item(self, item: ProcessEvent | int) -> None:
        if isinstance(item, int):
            self._console.say(
                "already stopping; this may take a little" if self.stop_requested else "stopping"
            )
            self.stop_requested = True
        elif item.what == DIED and item.name not in self.given_up:
            last_lines = self._manager.last_lines(item.name)
            self._console.report_death(item, last_lines)
            if not self._is_stopping and any(_PORT_IN_USE in line for line in last_lines):
                self._leave_taken_port(item.name)
        elif item.what == STARTED and item.name == AWS:
            self._aws_is_empty = True
        elif item.what == GAVE_UP and not self._is_stopping:
            self._handle_given_up(item.name)

    def _leave_taken_port(self, name: str) -> None:
        """Move a program to other ports at its first death, if another program has taken its own.
        Otherwise supervisor would start it four more times in vain."""
        if not has_taken_port(self.system, name):
            return
        # It may have started again meanwhile, and hold the port itself.
        self._manager.stop([name])
        self._move_to_free_ports(name)
        self._manager.start([name])

    def _handle_given_up(self, name: str) -> None:
        """If readings flow without the program, report it once, and start it again after ever
        longer pauses; otherwise raise StartupFailed."""
        if any(program.is_essential for program in self.system.programs if program.name == name):
            raise StartupFailed(
                f"{name} died 5 times in a row within 5 s of its start, so everything was stopped"
            )
        if self._move_to_free_ports(name):
            self._manager.start([name])
            return
        is_news = name not in self.given_up
        self._restarts.gave_up(name, time.monotonic())
        if is_news:
            self._console.say(
                f"{name} keeps dying; the system goes on without it. It is started again ever more "
                "rarely, at the latest every 5 minutes; look at what it wrote in "
                f"run/log/{name}.log"
            )
            self.write_given_up()

    def _restart_given_up(self) -> None:
        if self._is_stopping:
            return
        for name in self._restarts.due(time.monotonic()):
            self._move_to_free_ports(name)
            self._manager.start([name])
        for name in self._restarts.recovered(time.monotonic()):
            self._console.say(f"{name} runs again")
            self.write_given_up()

    def _move_to_free_ports(self, name: str) -> bool:
        """Give the program other ports if another program has taken its own. Returns whether that
        was done: not if the disk is full, so that the new ports cannot be written."""
        try:
            moved = move_to_free_ports(self.system, name)
            if moved is None:
                return False
            system, program = moved
            self._manager.replace(program)
        except OSError:
            return False
        self.system = system
        address = (program.answers_at or "").rpartition("/")[0]
        self._console.say(
            f"{name}: another program has taken its port; it listens at {address} now"
        )
        return True

    def _refill_aws(self) -> None:
        """Set the stand-in for SNS and SQS up again after it died, since it forgets everything."""
        simulators = self.system.simulators
        if not self._aws_is_empty or simulators is None:
            return
        if answers(f"{simulators.aws_url}/moto-api/"):
            with contextlib.suppress(BotoCoreError, ClientError, ResponseParserError):
                create_topic_and_queue(self.system.settings)
                self._aws_is_empty = False
